"""A cell's events in order from any point: from the cell what is still on its way to the history, from the history what is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from northstar.broker.event_errors import EventIdInvalid, EventIdUnknown
from northstar.domain.events import Event, EventId
from northstar.store.events import read_events
from northstar.store.history.continuity import BEGINNING, Gap, after, find_gaps

if TYPE_CHECKING:
    from northstar.store.cell import Cell
    from northstar.store.history.event_pages import EventPages

PAGE: Final = 500
_MOST_DIGITS: Final = 15
#: How often the same place is looked at, in cell and history, until what is in neither counts as gone.
_LOOKS: Final = 3


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """Events that follow on each other, but for the gaps: places where some are not known any more. All up to `position` was looked at."""

    events: list[Event]
    gaps: list[Gap]
    position: EventId
    #: They are from the history, so what was before them is there too; else from the cell, which still has the jobs that they are about.
    is_past: bool = False


class EventLog:
    """The events of one cell. The cell forgets them once they are in the history, so each read looks where they are now."""

    def __init__(self, cell: Cell, pages: EventPages) -> None:
        self._cell = cell
        self._pages = pages

    async def latest(self) -> EventId:
        """The position of what happened last. Raises Unavailable."""
        counts = (await self._cell.statistics()).counts
        return EventId(counts["epoch"], counts["event"])

    async def expect_known(self, position: EventId) -> None:
        """Raises EventIdUnknown: the cell has not come so far."""
        latest = await self.latest()
        if position > latest:
            raise EventIdUnknown(str(position), latest=str(latest))

    async def after(self, position: EventId, *, count: int = PAGE, wait_ms: int = 0) -> Passage:
        """The next events after `position`, at most `count`; waits up to `wait_ms` for the first.

        Raises:
            EventIdUnknown: the cell is another one than that of `position`. Unavailable: cell or history do not answer.
        """
        for _ in range(_LOOKS):
            read = after(position, await self._waiting(position, count=count, wait_ms=wait_ms))
            latest = read[0].id if read else await self.latest()
            if latest < position:
                raise EventIdUnknown(str(position), latest=str(latest))
            if not read and latest.sequence == position.sequence:
                return Passage(events=[], gaps=[], position=latest)
            if not read or find_gaps(position, read[:1]):
                # What lies between went into the history before it was read here.
                older = await self._pages.after(position, count=count)
                older = [event for event in older if not read or event.id < read[0].id]
                if older:
                    return Passage(events=older, gaps=_gaps(position, older), position=older[-1].id, is_past=True)
            if read:
                return Passage(events=read, gaps=_gaps(position, read), position=read[-1].id)
            # Neither here nor there: it has happened since the cell was looked at.
        return Passage(events=[], gaps=[_all_gone(position, latest)], position=latest)

    async def _waiting(self, position: EventId, *, count: int, wait_ms: int) -> list[Event]:
        return await read_events(self._cell.client, self._cell.keys, after=position, count=count, wait_ms=wait_ms)


def _gaps(position: EventId, events: list[Event]) -> list[Gap]:
    """Without those at which nothing was lost."""
    return [gap for gap in find_gaps(position, events) if gap.missing or gap.disowned]


def _all_gone(position: EventId, latest: EventId) -> Gap:
    """The cell has numbered these, and nobody has kept them."""
    return Gap(
        last=position,
        next=EventId(latest.epoch, latest.sequence + 1),
        reason="server_changed" if latest.epoch != position.epoch else "events_missing",
        missing=max(0, latest.sequence - position.sequence),
        disowned=max(0, position.sequence - latest.sequence),
        at_ms=0,
    )


def read_event_id(text: str) -> EventId:
    """A position as clients name it. Raises EventIdInvalid."""
    parts = text.split("-")
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and len(part) <= _MOST_DIGITS for part in parts):
        raise EventIdInvalid(text)
    return EventId.parse(text)


__all__ = ["BEGINNING", "PAGE", "EventLog", "Gap", "Passage", "read_event_id"]
