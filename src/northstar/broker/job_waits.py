"""Waiting for the end of a job without asking for it again and again: a bounded number of callers listens to the feed."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from northstar.broker.event_feed import Happened
from northstar.domain.errors import NorthstarError
from northstar.domain.jobs import JobStatus
from northstar.domain.told_events import FINAL_KINDS

if TYPE_CHECKING:
    from northstar.broker.event_feed import EventFeed
    from northstar.store.cell import Cell

#: Seconds that a caller may wait, and callers that wait at a time.
LONGEST_S: Final = 60
MOST_WAITERS: Final = 1_000


class JobWaits:
    """Callers who wait for jobs of one cell."""

    def __init__(self, cell: Cell, feed: EventFeed, *, most: int = MOST_WAITERS) -> None:
        self._cell = cell
        self._feed = feed
        self._most = most
        self._waiting = 0

    async def until_over(self, job_id: str, *, within_s: float) -> bool:
        """Whether the job is over within so many seconds. Where too many wait already, whether it is over now.

        Raises:
            Unavailable: the cell does not answer.
        """
        if self._waiting >= self._most or within_s <= 0:
            return await self._is_over(job_id)
        self._waiting += 1
        try:
            async with self._feed.listening(lambda one: one.event.kind in FINAL_KINDS, job=job_id) as listening:
                # Looked at once it is listened to, so that no end can fall between the two.
                if await self._is_over(job_id):
                    return True
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(within_s):
                        while not isinstance(await listening.next(within_s=within_s), Happened):
                            pass
        except NorthstarError:  # the feed cannot go on; the job is what it is
            pass
        finally:
            self._waiting -= 1
        return await self._is_over(job_id)

    async def _is_over(self, job_id: str) -> bool:
        jobs = (await self._cell.inspect([job_id])).jobs
        return bool(jobs) and JobStatus(jobs[0].record.status).is_final
