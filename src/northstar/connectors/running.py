"""The jobs that a connector runs at present, so that closing it ends them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

from northstar.connectors.contract import ConnectorResult
from northstar.connectors.errors import EngineGone


class RunningJobs:
    """Runs each job in a task of its own. Cancelling a caller cancels its job and waits for the job's own clean-up."""

    def __init__(self, *, service: str) -> None:
        self._service = service
        self._tasks: set[asyncio.Task[ConnectorResult]] = set()

    async def run(self, work: Coroutine[None, None, ConnectorResult], *, job_id: str) -> ConnectorResult:
        """Run `work` to its end.

        Raises:
            EngineGone: the connector was closed meanwhile.
        """
        task = asyncio.create_task(work, name=f"{self._service}-{job_id}")
        self._tasks.add(task)
        try:
            return await task
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if caller is None or caller.cancelling():
                raise
            raise EngineGone("the connector was closed", service=self._service) from None
        finally:
            self._tasks.discard(task)

    async def close(self) -> None:
        """End every job; return when all have cleaned up."""
        running = tuple(self._tasks)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
