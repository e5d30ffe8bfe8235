"""Pages of a cell's jobs, by filter and cursor: a bounded number of records is looked at for each."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, ClassVar, Final

from northstar.broker.job_views import look_at, readable
from northstar.domain.errors import InvalidRequest
from northstar.domain.job_resources import PLACES, JobFilter, Place
from northstar.store.job_places import is_place, read_placed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.domain.jobs import JobView
    from northstar.store.cell import Cell
    from northstar.store.job_places import Placed
    from northstar.store.messages import InspectedJob, JobIndex

#: Jobs of one page, and records that are looked at for one.
MAX_PAGE: Final = 500
_MOST_READ: Final = 2_000
#: Reads of one page, should nearly every one of them give a few jobs.
_MOST_ROUNDS: Final = 50
#: Bodies that are read at a time where fewer are wanted.
_FEWEST_BODIES: Final = 20
#: Records that are looked at for one change of many.
MOST_MEANT_READ: Final = 100_000
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

        The next page begins behind the last job of this one, so whatever happens meanwhile leaves nobody out; one that moves to a later
        place may come again.

        Raises:
            CursorInvalid: it is none of this list. Unavailable: the server does not answer.
        """
        places = wanted.places()
        place, after = _read_cursor(cursor) if cursor else (places[0], "")
        if place not in places or (after and not is_place(_INDEX[place], after)):
            raise CursorInvalid
        found: dict[str, JobView] = {}
        read = rounds = 0
        step = limit
        while read < _MOST_READ and rounds < _MOST_ROUNDS:
            rounds += 1
            placed, more = await self._placed(_INDEX[place], after, count=step)
            read += len(placed)
            views = await self._accepted([one.id for one in placed], wanted, most=limit - len(found), bodies=True)
            found |= {view.id: view for view in views}
            if len(found) >= limit:
                last = next(one for one in placed if one.id == views[-1].id)
                is_end = not more and last == placed[-1] and place == places[-1]
                return list(found.values()), "" if is_end else _cursor(place, last.place)
            if more:
                # Where hardly any is meant, the others are passed over in large steps.
                after, step = placed[-1].place, MAX_PAGE if 2 * len(views) < len(placed) else limit - len(found)
                continue
            if place == places[-1]:
                return list(found.values()), ""
            place, after = places[places.index(place) + 1], ""
        return list(found.values()), _cursor(place, after)

    async def meant(self, wanted: JobFilter, indexes: Sequence[JobIndex], *, limit: int) -> tuple[list[str], bool]:
        """At most `limit` jobs of these indexes, and whether there are, or may be, more: so many records are looked at, and no more.

        Raises:
            Unavailable: the server does not answer.
        """
        ids: dict[str, None] = {}
        read = 0
        possible = {_INDEX[place] for place in wanted.places()}
        for index in indexes:
            after, more = "", index in possible or (index == "dead" and "finished" in possible)
            while more:
                if read >= MOST_MEANT_READ:
                    return list(ids), True
                placed, more = await self._placed(index, after, count=MAX_PAGE)
                read += len(placed)
                # One more than may be, to know whether there is one.
                views = await self._accepted(
                    [one.id for one in placed if one.id not in ids],
                    wanted,
                    most=limit - len(ids) + 1,
                    bodies=wanted.asks_for_work,
                )
                ids |= dict.fromkeys(view.id for view in views)
                if len(ids) > limit:
                    return list(ids)[:limit], True
                after = placed[-1].place if placed else ""
        return list(ids), False

    async def _accepted(self, ids: Sequence[str], wanted: JobFilter, *, most: int, bodies: bool) -> list[JobView]:
        """The first of them that are meant. Bodies, which may be large, are read of those alone whose record may be meant."""
        if not ids:
            return []
        rest = list(ids)
        if wanted.asks_for_record or not bodies:
            jobs = [job for job in (await self._cell.inspect(ids)).jobs if _may_be_meant(job, wanted)]
            if not bodies:
                return [view for view in readable(jobs) if wanted.accepts(view)][:most]
            rest = [job.id for job in jobs]
        found: list[JobView] = []
        while rest and len(found) < most:
            some, rest = rest[: max(most, _FEWEST_BODIES)], rest[max(most, _FEWEST_BODIES) :]
            views = await look_at(self._cell, some, bodies=True)
            found += [view for view in views if wanted.accepts(view)]
        return found[:most]

    async def _placed(self, index: JobIndex, after: str, *, count: int) -> tuple[list[Placed], bool]:
        return await read_placed(self._cell.client, self._cell.keys, index, after=after, count=min(MAX_PAGE, count))


def _may_be_meant(job: InspectedJob, wanted: JobFilter) -> bool:
    record = job.record
    return wanted.may_accept(status=record.status, tenant=record.tenant, error_code=record.error_code)


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
