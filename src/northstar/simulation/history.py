"""The cell's events on their way to whoever counts, read and forgotten as the history writer does it: in order, each once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from northstar.domain.events import EventId
from northstar.store.events import read_events

if TYPE_CHECKING:
    from collections.abc import Callable

    from northstar.domain.events import Event
    from northstar.simulation.world import World

_BATCH: Final = 1_000
#: So many events may have been read and not be trimmed yet.
_MOST_KEPT: Final = 2_000


class EventsRead:
    """Of one run. What was read is trimmed now and then, so that the cell can forget jobs that have ended."""

    def __init__(self, world: World, hear: Callable[[Event], None]) -> None:
        self._world = world
        self._hear = hear
        self._after = EventId(0, 0)
        self._kept = 0

    async def read(self) -> int:
        """Everything up to now; gives how many events."""
        cell, count = self._world.cell, 0
        while events := await read_events(cell.client, cell.keys, after=self._after, count=_BATCH):
            for event in events:
                self._hear(event)
            count += len(events)
            self._after = events[-1].id
            self._kept += len(events)
            if self._kept >= _MOST_KEPT:
                await self.trim()
            if len(events) < _BATCH:
                break
        return count

    async def trim(self) -> None:
        """Have the cell forget what was read."""
        if self._kept:
            self._kept = 0
            await self._world.cell.events_committed(epoch=self._after.epoch, event=self._after.sequence)
