"""Pages of a cell's jobs, by filter and cursor: a bounded number of records is looked at for each."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, ClassVar, Final

from northstar.broker.job_views import look_at
from northstar.domain.errors import InvalidRequest
from northstar.domain.job_resources import PLACES, JobFilter, Place
from northstar.store.latest import read_latest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from northstar.domain.jobs import JobView
    from northstar.store.cell import Cell
    from northstar.store.messages import JobIndex

#: Jobs of one page, and records that are looked at for one.
MAX_PAGE: Final = 500
_MOST_READ: Final = 2_000
_INDEX: Final[dict[Place, JobIndex]] = {
    "running": "leases",
    "waiting": "waiting",
    "delayed": "delayed",
    "finished": "finished",
}
_MOST_CURSOR: Final = 1_024


class CursorInvalid(InvalidRequest):
    """A cursor that no list has given."""

    code: ClassVar[str] = "NS_CURSOR_INVALID"

    def __init__(self) -> None:
        super().__init__(
            "the cursor is none: take it from the page before, as it is, and leave it out for the first page"
        )


class JobLists:
    """Lists of one cell's jobs: running ones, then those that wait, that pause before a retry, and that are over (the latest first)."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell

    async def page(self, wanted: JobFilter, *, limit: int, cursor: str) -> tuple[list[JobView], str]:
        """At most `limit` jobs, with their bodies, and where the next page begins: empty at the end. A page may be short before it.

        Raises:
            CursorInvalid: it is none of this list. Unavailable: the server does not answer.
        """
        places = wanted.places()
        place, after = _read_cursor(cursor) if cursor else (places[0], "")
        if place not in places:
            raise CursorInvalid
        found: dict[str, JobView] = {}
        read = 0
        while len(found) < limit and read < _MOST_READ:
            ids, after = await self._ids(place, after, count=min(MAX_PAGE, limit - len(found)))
            views = await look_at(self._cell, ids, bodies=True)
            found |= {view.id: view for view in views if wanted.accepts(view)}
            read += max(len(ids), 1)
            if not after:
                if place == places[-1]:
                    return list(found.values()), ""
                place = places[places.index(place) + 1]
        return list(found.values()), _cursor(place, after)

    async def all(self, wanted: JobFilter) -> AsyncIterator[JobView]:
        """Page by page, however many there are; one that moves meanwhile may come twice. Raises Unavailable."""
        cursor = ""
        while True:
            views, cursor = await self.page(wanted, limit=MAX_PAGE, cursor=cursor)
            for view in views:
                yield view
            if not cursor:
                return

    async def _ids(self, place: Place, after: str, *, count: int) -> tuple[list[str], str]:
        if place != "finished":
            page = await self._cell.list_jobs(_INDEX[place], after=after, count=count)
            return page.jobs, page.after
        # The latest first. Jobs that end meanwhile push the others on: one may be seen twice, and none is left out.
        skip = _skip(after)
        ids = await read_latest(self._cell.client, self._cell.keys, "finished", skip=skip, count=count)
        return ids, str(skip + len(ids)) if len(ids) == count else ""


def _cursor(place: Place, after: str) -> str:
    return base64.urlsafe_b64encode(f"{place} {after}".encode()).decode().rstrip("=")


def _read_cursor(text: str) -> tuple[Place, str]:
    """Raises CursorInvalid."""
    try:
        plain = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError, ValueError):
        raise CursorInvalid from None
    name, _, after = plain.partition(" ")
    place = next((one for one in PLACES if one == name), None)
    if place is None or len(after) > _MOST_CURSOR:
        raise CursorInvalid
    return place, after


def _skip(after: str) -> int:
    """Raises CursorInvalid."""
    if not after:
        return 0
    if not after.isascii() or not after.isdigit() or len(after) > 9:
        raise CursorInvalid
    return int(after)
