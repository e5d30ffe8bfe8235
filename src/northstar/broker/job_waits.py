"""Waiting for the end of a job without asking for it again and again: a bounded number of callers listens to the feed."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from northstar.broker.event_feed import Happened
from northstar.broker.job_views import status_of
from northstar.broker.stream_places import StreamPlaces
from northstar.domain.errors import NorthstarError
from northstar.domain.told_events import FINAL_KINDS
from northstar.store.history.continuity import Gap

if TYPE_CHECKING:
    from northstar.broker.event_feed import EventFeed, Listening
    from northstar.store.cell import Cell

#: Seconds that a caller may wait, and callers that wait at a time: in all, and with one key.
LONGEST_S: Final = 60
MOST_WAITERS: Final = 1_000
MOST_OF_KEY: Final = 200


class JobWaits:
    """Callers who wait for jobs of one cell."""

    def __init__(
        self, cell: Cell, feed: EventFeed, *, most: int = MOST_WAITERS, most_of_key: int = MOST_OF_KEY
    ) -> None:
        self._cell = cell
        self._feed = feed
        self._places = StreamPlaces(most=most, most_of_key=most_of_key)

    async def until_over(self, job_id: str, *, key_id: str, within_s: float) -> bool:
        """Whether the job is over within so many seconds. Where too many wait already, in all or with this key, whether it is over now.

        Raises:
            Unavailable: the cell does not answer.
        """
        if within_s <= 0:
            return await self._is_over(job_id)
        # No place is left, or the feed cannot go on: the job is what it is.
        with contextlib.suppress(NorthstarError), self._places.taken(key_id):
            async with self._feed.listening(lambda one: one.event.kind in FINAL_KINDS, job=job_id) as listening:
                # Looked at once it is listened to, so that no end can fall between the two.
                if await self._is_over(job_id):
                    return True
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(within_s):
                        await self._end(job_id, listening)
        return await self._is_over(job_id)

    async def _end(self, job_id: str, listening: Listening) -> None:
        """Wait until its end was heard of, or happened unheard. Raises as `Listening.next`, and Unavailable."""
        while True:
            heard = await listening.next(within_s=LONGEST_S)
            if isinstance(heard, Happened):
                return
            # The end may be among what is missing.
            if isinstance(heard, Gap) and await self._is_over(job_id):
                return

    async def _is_over(self, job_id: str) -> bool:
        jobs = (await self._cell.inspect([job_id])).jobs
        return bool(jobs) and status_of(jobs[0]).is_final
