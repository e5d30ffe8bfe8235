"""Who did what to a cell: from the history, and from the events that are still on their way there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from northstar.broker.job_lists import CursorInvalid
from northstar.broker.waiting_events import Waiting
from northstar.domain.audit import AUDITED, AuditEntry, AuditPage, act_of
from northstar.domain.events import EventId
from northstar.store.events import read_events
from northstar.store.history import BEGINNING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from northstar.domain.events import Event
    from northstar.store.cell import Cell
    from northstar.store.history.kind_reader import KindReader

_PAGE: Final = 1_000
#: Events looked through that are not in the history yet, and looks at stretches of the history, for one page.
_MOST_WAITING: Final = 50_000
_MOST_LOOKS: Final = 10
_MOST: Final = 2**62


class Audit:
    """The acts of people in one cell."""

    def __init__(self, cell: Cell, reader: KindReader) -> None:
        self._cell = cell
        self._reader = reader

    async def page(self, *, limit: int, cursor: str) -> AuditPage:
        """Acts, the latest first. Raises CursorInvalid, Unavailable."""
        before = _read_cursor(cursor) if cursor else None
        # First what waits: it may be in the history, and nowhere else, a moment later.
        waiting = await self._waiting(before)
        found = _acts(waiting.events)
        ended = False
        for _ in range(_MOST_LOOKS):
            if ended or len(found) >= limit:
                break
            stretch = await self._reader.latest(AUDITED, before=before, count=_PAGE)
            found |= _acts(stretch.events)
            before, ended = stretch.before, stretch.before is None
        ids = sorted(found, reverse=True)
        after = "" if before is None else str(before)
        if len(ids) > limit or (len(ids) == limit and not ended):
            after = str(ids[limit - 1])  # what is left out begins the next page
        acts = tuple(found[place] for place in ids[:limit])
        return AuditPage(acts=acts, cursor=after, incomplete=not waiting.is_whole)

    async def _waiting(self, before: EventId | None) -> Waiting:
        found: list[Event] = []
        after = BEGINNING
        for _ in range(0, _MOST_WAITING, _PAGE):
            page = await read_events(self._cell.client, self._cell.keys, after=after, count=_PAGE)
            found += [event for event in page if event.kind in AUDITED and (before is None or event.id < before)]
            if len(page) < _PAGE or (before is not None and page[-1].id >= before):
                return Waiting(found, is_whole=True)
            after = page[-1].id
        return Waiting(found, is_whole=False)


def _acts(events: Iterable[Event]) -> dict[EventId, AuditEntry]:
    return {event.id: act for event in events if (act := act_of(event)) is not None}


def _read_cursor(text: str) -> EventId:
    """Raises CursorInvalid."""
    try:
        place = EventId.parse(text)
    except ValueError:
        raise CursorInvalid from None
    if not (0 <= place.epoch < _MOST and 0 <= place.sequence < _MOST):
        raise CursorInvalid
    return place
