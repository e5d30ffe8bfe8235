"""The jobs that a connector runs at present, so that closing it ends them."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

from northstar.connectors.contract import ConnectorResult
from northstar.connectors.errors import EngineGone

T = TypeVar("T")


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


async def to_the_end(work: Coroutine[None, None, T]) -> T:
    """Do `work` even while cancellations arrive; it must be bounded by its own time-outs.

    Raises:
        CancelledError: one arrived meanwhile; `work` is done all the same.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.cancelled():
                raise
            cancelled = error
        except Exception:  # noqa: BLE001 - the task holds it, and is asked below
            break
    if cancelled is not None:
        if not task.cancelled():
            task.exception()  # looked at; the cancellation is what counts
        raise cancelled
    return task.result()
