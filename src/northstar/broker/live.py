"""What a front tells clients as it happens: the events of a cell, the ends of jobs that somebody waits for, and their progress."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from northstar.broker.event_feed import EventFeed
from northstar.broker.event_log import EventLog
from northstar.broker.event_streams import EventStreams
from northstar.broker.event_tenants import EventTenants
from northstar.broker.job_events import JobEvents
from northstar.broker.job_waits import JobWaits
from northstar.broker.keys import Keys
from northstar.broker.stream_places import StreamPlaces
from northstar.store.history.event_pages import EventPages
from northstar.store.progress_channels import ProgressChannels

if TYPE_CHECKING:
    from northstar.broker.job_past import JobPast
    from northstar.store.cell import Cell
    from northstar.store.history import HistoryDatabase


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """The parts behind streams and waits."""

    keys: Keys
    feed: EventFeed
    events: EventStreams
    jobs: JobEvents
    waits: JobWaits
    places: StreamPlaces
    progress: ProgressChannels
    #: Seconds between two signs of life of a stream, each with a look at the key of its reader.
    every_s: float = 1.0

    async def close(self) -> None:
        """Tell all who listen that nothing more comes, and let go of the cell."""
        await self.feed.close()
        await self.progress.close()


def live_over(cell: Cell, history: HistoryDatabase, *, keys: Keys, past: JobPast) -> Live:
    """The streams of one cell; nothing of them runs until somebody listens."""
    pages = EventPages(history, cell=cell.name)
    log, tenants = EventLog(cell, pages), EventTenants(cell, pages)
    feed, progress = EventFeed(log, tenants), ProgressChannels(cell)
    return Live(
        keys=keys,
        feed=feed,
        events=EventStreams(log, tenants, feed),
        jobs=JobEvents(cell, past, feed, progress),
        waits=JobWaits(cell, feed),
        places=StreamPlaces(),
        progress=progress,
    )
