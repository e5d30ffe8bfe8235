"""The events that are still in the cell, on their way to the history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from northstar.store.events import read_events
from northstar.store.history import BEGINNING

if TYPE_CHECKING:
    from collections.abc import Collection

    from northstar.domain.events import Event
    from northstar.store.cell import Cell

_PAGE: Final = 1_000
#: Events looked through for those of some subjects, while the history is behind.
_MAX_WAITING: Final = 50_000


async def waiting_events(cell: Cell, subjects: Collection[str]) -> list[Event]:
    """Those of some jobs or machines, in order. Raises Unavailable."""
    found: list[Event] = []
    after = BEGINNING
    for _ in range(0, _MAX_WAITING, _PAGE):
        page = await read_events(cell.client, cell.keys, after=after, count=_PAGE)
        found += [event for event in page if event.subject in subjects]
        if len(page) < _PAGE:
            break
        after = page[-1].id
    return found
