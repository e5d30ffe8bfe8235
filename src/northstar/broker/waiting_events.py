"""The events that are still in the cell, on their way to the history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from northstar.domain.events import Event
from northstar.store.events import read_events
from northstar.store.history import BEGINNING

if TYPE_CHECKING:
    from collections.abc import Collection

    from northstar.store.cell import Cell

_PAGE: Final = 1_000
#: Events looked through for those of some subjects, while the history is behind.
_MAX_WAITING: Final = 50_000


class Waiting(msgspec.Struct, frozen=True):
    """Events in order; not whole where more wait than are looked through, and the latest are left out."""

    events: list[Event]
    is_whole: bool


async def waiting_events(cell: Cell, subjects: Collection[str]) -> list[Event]:
    """Those of some jobs or machines, in order, as far as they are looked through. Raises Unavailable."""
    return (await look_through(cell, subjects)).events


async def look_through(cell: Cell, subjects: Collection[str]) -> Waiting:
    """Those of some jobs or machines, and whether these are all. Raises Unavailable."""
    found: list[Event] = []
    after = BEGINNING
    for _ in range(0, _MAX_WAITING, _PAGE):
        page = await read_events(cell.client, cell.keys, after=after, count=_PAGE)
        found += [event for event in page if event.subject in subjects]
        if len(page) < _PAGE:
            return Waiting(found, is_whole=True)
        after = page[-1].id
    return Waiting(found, is_whole=False)
