"""The jobs that a machine holds now."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from northstar.store.messages import Held

if TYPE_CHECKING:
    from northstar.agent.link import BrokerLink
    from northstar.connectors.contract import Progress
    from northstar.domain.jobs import ClaimedJob

#: Progress messages under way for one machine; beyond that they are dropped, as progress may be.
MAX_PROGRESS_IN_FLIGHT = 64
#: Tokens remembered; an answer can name a run again only while it is among the machine's latest.
REMEMBERED_TOKENS = 4_096


class HeldJobs:
    """Jobs by id with their token and task, and those among them that were told to stop."""

    def __init__(self) -> None:
        self._jobs: dict[str, tuple[str, asyncio.Task[None]]] = {}
        self._stopped: set[str] = set()
        self._telling: set[asyncio.Task[None]] = set()
        self._begun: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._jobs)

    def begin(self, token: str) -> bool:
        """Whether a run under this token may begin; false for one that has begun before.

        A job reaches a machine twice when the bell told of it and the claim that accepts it names it again.
        """
        if token in self._begun:
            return False
        self._begun[token] = None
        if len(self._begun) > REMEMBERED_TOKENS:
            del self._begun[next(iter(self._begun))]
        return True

    def has(self, job_id: str, token: str) -> bool:
        """Whether this very run is held."""
        return job_id in self._jobs and self._jobs[job_id][0] == token

    def add(self, job_id: str, token: str, task: asyncio.Task[None]) -> None:
        """A run begins. An older run of the same job, whose lease is lost, is stopped."""
        self.stop(job_id)
        self._stopped.discard(job_id)
        self._jobs[job_id] = (token, task)

    def remove(self, job_id: str, token: str) -> None:
        """A run ended."""
        if self.has(job_id, token):
            del self._jobs[job_id]
            self._stopped.discard(job_id)

    def named(self) -> list[Held]:
        """All that run and are wanted."""
        return [Held(job_id, token) for job_id, (token, _) in self._jobs.items() if job_id not in self._stopped]

    def stop(self, job_id: str, token: str | None = None) -> None:
        """Cancel a run, if it is still this one."""
        known = self._jobs.get(job_id)
        if known is not None and token in {None, known[0]}:
            self._stopped.add(job_id)
            known[1].cancel()

    def cancel_all(self) -> None:
        """Stop everything."""
        for job_id in list(self._jobs):
            self.stop(job_id)

    def tell(self, link: BrokerLink, job: ClaimedJob, progress: Progress) -> None:
        """Send progress without waiting for it; dropped when too much is under way."""
        if len(self._telling) >= MAX_PROGRESS_IN_FLIGHT:
            return
        text = msgspec.json.encode(
            {
                "fraction": progress.fraction,
                "message": progress.message[:500],
                "tokens": (progress.tokens or "")[:8_000],
            }
        )
        task = asyncio.get_running_loop().create_task(link.progress(job.id, job.token, text))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)
