"""What is known of each job while the demonstration runs, and the news that follows from each change."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from northstar.broker.job_views import view_of
from northstar.broker.queue_places import QueuePlaces
from northstar.demo.commission import Commission
from northstar.domain.errors import Unavailable
from northstar.domain.jobs import JobStatus, JobView
from northstar.domain.progress import Progress, ProgressOrder, from_wire
from northstar.domain.progress_text import describe
from northstar.domain.queue_place import QueuePlace, describe_place
from northstar.domain.runs import LatestRun
from northstar.store.cell import Cell
from northstar.store.progress import channel, listen_progress

_LOOK_EVERY_S: Final = 0.1
_PLACE_EVERY_S: Final = 1.0
_TEXT_CHARS: Final = 4_000
_FIRST_WORDS: Final = 4


class Row(msgspec.Struct, kw_only=True):
    """One job as it stands."""

    commission: Commission
    view: JobView | None = None
    place: QueuePlace | None = None
    placed_s: float = 0.0
    progress: Progress | None = None
    text: str = ""
    words: int = 0

    @property
    def status(self) -> str:
        """Its state in a word."""
        return "-" if self.view is None else str(self.view.status)

    @property
    def pool(self) -> str:
        """The pool in which the router put it."""
        return "" if self.view is None else pool_of(self.view.lane_key)

    @property
    def fraction(self) -> float:
        """The share that its machine has done."""
        return (self.progress.fraction if self.progress else None) or 0.0

    @property
    def standing(self) -> str:
        """How it stands, in a sentence: where in the queue, or what its machine does with it."""
        if self.view is not None and self.view.status is JobStatus.QUEUED and self.place is not None:
            return describe_place(self.place)
        if self.view is not None and self.view.status is JobStatus.RUNNING and self.progress is not None:
            return describe(self.progress)
        return self.status

    @property
    def is_final(self) -> bool:
        """Whether it has ended."""
        return self.view is not None and self.view.status.is_final


class ProgressBoard:
    """Follows jobs by looking at them ten times a second, and by listening to what they say meanwhile.

    `tell` is called with a sentence for every change that a person wants to know of.
    """

    def __init__(self, cell: Cell, commissions: Sequence[Commission], *, tell: Callable[[str], None]) -> None:
        self._cell = cell
        self._tell = tell
        self.rows = {commission.request.id or "": Row(commission=commission) for commission in commissions}
        self.latest_text = ""
        self._places = QueuePlaces(cell, monotonic=time.monotonic)
        self._moved = asyncio.Event()

    async def follow(self) -> None:
        """Until every job has ended."""
        async with asyncio.TaskGroup() as tasks:
            listening = [tasks.create_task(self._listen(job_id)) for job_id in self.rows]
            while not all(row.is_final for row in self.rows.values()):
                await self._look()
                await asyncio.sleep(_LOOK_EVERY_S)
            for task in listening:
                task.cancel()

    async def listening(self) -> None:
        """Wait until every job's channel is listened to, so that jobs of a few milliseconds are heard too."""
        channels = [channel(self._cell, job_id) for job_id in self.rows]
        while True:
            counts = await self._cell.client.execute_command("PUBSUB", "SHARDNUMSUB", *channels)
            if all(counts[1::2]):
                return
            await asyncio.sleep(0.02)

    async def until_at_work(self, job_id: str, *, fraction: float) -> str:
        """Wait until a machine has done this share of the job; gives the machine, or nothing if the job ends before."""
        row = self.rows[job_id]
        while True:
            if row.is_final:
                return ""
            if row.view is not None and row.view.status is JobStatus.RUNNING and row.fraction >= fraction:
                return row.view.machine
            self._moved.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY_S):
                    await self._moved.wait()

    async def _look(self) -> None:
        reply = await self._cell.inspect(list(self.rows))
        for job in reply.jobs:
            view, row = view_of(job), self.rows[job.id]
            before, row.view = row.view, view
            if view.status is JobStatus.QUEUED and time.monotonic() - row.placed_s >= _PLACE_EVERY_S:
                row.place, row.placed_s = await self._places.of(job, now_ms=reply.now_ms), time.monotonic()
            if view.status is not JobStatus.RUNNING and not view.status.is_final:
                row.progress = None
            if sentence := _change(before, view):
                heard = f" ({row.words} words came in meanwhile)" if row.words and row.is_final else ""
                mark = " (simulated)" if row.commission.is_simulated else ""
                self._tell(sentence + heard + mark)
            self._moved.set()

    async def _listen(self, job_id: str) -> None:
        row, order, latest = self.rows[job_id], ProgressOrder(), LatestRun()
        with contextlib.suppress(Unavailable):
            async for token, text in listen_progress(self._cell, job_id):
                if latest.begins_with(token):
                    row.progress, row.text = None, ""
                news = from_wire(text)
                if news is not None and (shown := order.hear(token, news)) is not None:
                    self._heard(job_id, shown)

    def _heard(self, job_id: str, news: Progress) -> None:
        row = self.rows[job_id]
        row.progress = news
        if news.tokens:
            if not row.words:
                first = " ".join(news.tokens.split()[:_FIRST_WORDS])
                self._tell(f"{job_id}: its first words come in: {first} …")
            row.words += len(news.tokens.split())
            row.text = (row.text + news.tokens)[-_TEXT_CHARS:]
            self.latest_text = row.text
        self._moved.set()


def pool_of(lane_key: str) -> str:
    """The pool that the text of a lane names.

    >>> pool_of('[{"pool":"heavy","service":"film"},[]]')
    'heavy'
    """
    return str(json.loads(lane_key)[0]["pool"])


def _change(before: JobView | None, now: JobView) -> str:
    """The news in a change of state; empty if there is none."""
    if before is not None and (before.status, before.recoveries, before.machine) == (
        now.status,
        now.recoveries,
        now.machine,
    ):
        return ""
    if before is not None and now.recoveries > before.recoveries:
        next_ = f"runs again on {now.machine}" if now.machine else "back to the front of the queue"
        return f"{now.id}: its machine {before.machine} is gone; {next_}"
    match now.status:
        case JobStatus.RUNNING:
            return f"{now.id}: runs on {now.machine}"
        case JobStatus.DELAYED:
            return f"{now.id}: attempt {now.attempts} failed ({now.error_code}); it will be tried again"
        case JobStatus.SUCCEEDED:
            return f"{now.id}: succeeded"
        case JobStatus.FAILED | JobStatus.EXPIRED | JobStatus.CANCELED:
            return f"{now.id}: {now.status} ({now.error_code}: {now.error_message})"
        case _:
            return ""
