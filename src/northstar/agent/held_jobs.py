"""The jobs that a machine holds now."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from northstar.agent.telling import Telling
from northstar.domain.progress import to_wire
from northstar.store.messages import Held

if TYPE_CHECKING:
    from northstar.agent.link import BrokerLink
    from northstar.domain.jobs import ClaimedJob
    from northstar.domain.progress import Progress

#: Progress messages under way for one machine; beyond that they are dropped, as progress may be.
MAX_PROGRESS_IN_FLIGHT = 64
#: Tokens remembered; an answer can name a run again only while it is among the machine's latest.
REMEMBERED_TOKENS = 4_096


class HeldJobs:
    """Runs by job id, each with its token and task, and those among them that were told to stop."""

    def __init__(self) -> None:
        self._jobs: dict[str, tuple[str, asyncio.Task[None]]] = {}
        self._stopped: set[str] = set()
        self._telling: set[asyncio.Task[None]] = set()
        self._news: dict[str, Telling] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._spent: dict[str, None] = {}

    def __len__(self) -> int:
        return len(self._jobs)

    def begin(self, token: str) -> bool:
        """Whether a run under this token may begin; false for one that has begun, or was told to stop, before.

        A job reaches a machine twice when the bell told of it and the claim that accepts it names it again; and a
        cancellation may ring before the answer that brings the job.
        """
        if token in self._spent:
            return False
        self._spend(token)
        return True

    def knows(self, token: str) -> bool:
        """Whether a run under this token has begun, or was told to stop, here."""
        return token in self._spent

    def _spend(self, token: str) -> None:
        self._spent[token] = None
        if len(self._spent) > REMEMBERED_TOKENS:
            del self._spent[next(iter(self._spent))]

    def has(self, job_id: str, token: str) -> bool:
        """Whether this very run is held."""
        return job_id in self._jobs and self._jobs[job_id][0] == token

    def add(self, job_id: str, token: str, task: asyncio.Task[None]) -> None:
        """A run begins, and is held until its task is done. An older run of the same job, whose lease is lost, is stopped."""
        if job_id in self._jobs:
            self.stop(job_id, self._jobs[job_id][0])
        self._stopped.discard(job_id)
        self._jobs[job_id] = (token, task)
        # The run itself cannot see to it: a task that is cancelled before its first step runs nothing, not even its `finally`.
        task.add_done_callback(lambda _: self.remove(job_id, token))

    def remove(self, job_id: str, token: str) -> None:
        """A run ended."""
        if self.has(job_id, token):
            del self._jobs[job_id]
            self._stopped.discard(job_id)

    def named(self) -> list[Held]:
        """All that run and are wanted."""
        return [Held(job_id, token) for job_id, (token, _) in self._jobs.items() if job_id not in self._stopped]

    def stop(self, job_id: str, token: str) -> None:
        """Cancel this very run; if it has not begun yet, it will not."""
        if self.has(job_id, token):
            self._stopped.add(job_id)
            self._jobs[job_id][1].cancel()
        elif token:
            self._spend(token)

    async def end_all(self, *, within_s: float) -> None:
        """Stop everything, and give the engines so long to stop too."""
        running = [task for _, task in self._jobs.values()]
        for held in self.named():
            self.stop(held.id, held.token)
        if running:
            await asyncio.wait(running, timeout=within_s)

    def tell(self, link: BrokerLink, job: ClaimedJob, progress: Progress) -> None:
        """Send progress without waiting for it: at once, or when its turn comes; dropped when too much is under way."""
        if not self.has(job.id, job.token):
            return  # said by something that outlived its run
        loop = asyncio.get_running_loop()
        telling = self._news.setdefault(job.token, Telling())
        telling.add(progress, now=loop.time())
        self._tell_due(link, job)

    def _tell_due(self, link: BrokerLink, job: ClaimedJob) -> None:
        """Send the report whose turn it is, and come back when it is the next one's, or the same one's again."""
        loop, telling = asyncio.get_running_loop(), self._news[job.token]
        if timer := self._timers.pop(job.token, None):
            timer.cancel()
        if telling.due_in(loop.time()) == 0.0:
            self._send(link, job, telling.take(now=loop.time()))
        if (pause_s := telling.due_in(loop.time())) is not None:
            self._timers[job.token] = loop.call_later(pause_s, self._tell_due, link, job)

    def tell_rest(self, link: BrokerLink, job: ClaimedJob) -> None:
        """The run is over: send what still waits, the last report of each phase, before the result goes."""
        timer, telling = self._timers.pop(job.token, None), self._news.pop(job.token, None)
        if timer is not None:
            timer.cancel()
        while telling:
            self._send(link, job, telling.take(now=asyncio.get_running_loop().time()))

    def _send(self, link: BrokerLink, job: ClaimedJob, progress: Progress) -> None:
        if len(self._telling) >= MAX_PROGRESS_IN_FLIGHT:
            return
        task = asyncio.get_running_loop().create_task(link.progress(job.id, job.token, to_wire(progress)))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)
