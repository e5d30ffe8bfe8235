"""Reading the events of some kinds, the latest first, a bounded stretch of the history at a time.

There is no index by kind, since what is asked for is rare and every event would pay for it: the rows lie in the order of their ids, so a stretch
of them is read at the speed of the disk.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, or_, select

from northstar.domain.events import Event, EventId
from northstar.store.history.reader import event_of
from northstar.store.history.tables import events

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.store.history.database import HistoryDatabase

#: Events that one look goes through.
STRETCH: Final = 50_000


class Stretch(msgspec.Struct, frozen=True):
    """Events that were found, the latest first, and before which id the next look begins; None: there is nothing older."""

    events: list[Event]
    before: EventId | None


class KindReader:
    """Reads one cell's events. Raises Unavailable when the database does not answer."""

    def __init__(self, database: HistoryDatabase, *, cell: str) -> None:
        self._database = database
        self._cell = cell

    async def latest(
        self, kinds: Sequence[str], *, before: EventId | None, count: int, stretch: int = STRETCH
    ) -> Stretch:
        """At most `count` of these kinds, among the `stretch` events before this id, or before the end."""
        return await self._database.read(
            partial(self._latest, kinds=kinds, before=before, count=count, stretch=stretch)
        )

    def _latest(
        self, connection: Connection, *, kinds: Sequence[str], before: EventId | None, count: int, stretch: int
    ) -> Stretch:
        newest = self._newest(connection, before)
        if newest is None:
            return Stretch([], None)
        lowest = newest.sequence - stretch
        query = (
            select(events)
            .where(
                events.c.cell == self._cell,
                events.c.epoch == newest.epoch,
                events.c.sequence <= newest.sequence,
                events.c.sequence > lowest,
                events.c.kind.in_(kinds),
            )
            .order_by(events.c.sequence.desc())
            .limit(count)
        )
        found = [event_of(row) for row in connection.execute(query)]
        reached = found[-1].id if len(found) == count else EventId(newest.epoch, max(0, lowest + 1))
        return Stretch(found, reached if self._newest(connection, reached) is not None else None)

    def _newest(self, connection: Connection, before: EventId | None) -> EventId | None:
        query = select(events.c.epoch, events.c.sequence).where(events.c.cell == self._cell)
        if before is not None:
            query = query.where(_is_before(before))
        row = connection.execute(query.order_by(events.c.epoch.desc(), events.c.sequence.desc()).limit(1)).first()
        return None if row is None else EventId(row.epoch, row.sequence)


def _is_before(place: EventId) -> ColumnElement[bool]:
    same = and_(events.c.epoch == place.epoch, events.c.sequence < place.sequence)
    return or_(events.c.epoch < place.epoch, same)
