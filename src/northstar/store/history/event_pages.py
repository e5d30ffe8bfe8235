"""Reading all events of a cell in order, and whose jobs they are about."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import Connection, and_, or_, select

from northstar.domain.events import Event, EventId
from northstar.store.history.finished_jobs import storable
from northstar.store.history.reader import MAX_PAGE
from northstar.store.history.tables import events, jobs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.store.history.database import HistoryDatabase

#: Far below the bound of parameters of one statement.
_IDS_PER_QUERY = 500


class EventPages:
    """One cell's events as the history has them. Every method raises Unavailable when the database does not answer."""

    def __init__(self, database: HistoryDatabase, *, cell: str) -> None:
        self._database = database
        self._cell = cell

    async def after(self, offset: EventId, *, count: int = MAX_PAGE) -> list[Event]:
        """The next events after `offset`, in order, at most `count` (1 to 1,000)."""
        return await self._database.read(partial(self._after, offset=offset, count=min(count, MAX_PAGE)))

    def _after(self, connection: Connection, *, offset: EventId, count: int) -> list[Event]:
        later = or_(
            events.c.epoch > offset.epoch, and_(events.c.epoch == offset.epoch, events.c.sequence > offset.sequence)
        )
        query = (
            select(events).where(events.c.cell == self._cell, later).order_by(events.c.epoch, events.c.sequence)
        ).limit(count)
        return [
            Event(
                id=EventId(row.epoch, row.sequence),
                kind=row.kind,
                subject=row.subject,
                number=row.number,
                at_ms=row.at_ms,
                data=row.data,
            )
            for row in connection.execute(query)
        ]

    async def submissions(self, job_ids: Sequence[str]) -> dict[str, list[tuple[EventId, str]]]:
        """When a life of each of these ids began, earliest first, and whose it was: an id may be given again once its job is forgotten.

        The tenant of a job that arrived from another cell is empty: its event names none.
        """
        found: dict[str, list[tuple[EventId, str]]] = {}
        for first in range(0, len(job_ids), _IDS_PER_QUERY):
            found |= await self._database.read(partial(self._submissions, ids=job_ids[first : first + _IDS_PER_QUERY]))
        return found

    def _submissions(self, connection: Connection, *, ids: Sequence[str]) -> dict[str, list[tuple[EventId, str]]]:
        query = (
            select(events.c.subject, events.c.epoch, events.c.sequence, events.c.data)
            .where(
                events.c.cell == self._cell,
                events.c.subject.in_([storable(one) for one in ids]),
                events.c.kind.in_(("job.submitted", "job.arrived")),
            )
            .order_by(events.c.epoch, events.c.sequence)
        )
        found: dict[str, list[tuple[EventId, str]]] = {}
        for row in connection.execute(query):
            tenant = str(row.data.get("tenant") or "")
            found.setdefault(row.subject, []).append((EventId(row.epoch, row.sequence), tenant))
        return found

    async def tenants(self, job_ids: Sequence[str]) -> dict[str, str]:
        """The tenants of those of these jobs that are finished and known."""
        found: dict[str, str] = {}
        for first in range(0, len(job_ids), _IDS_PER_QUERY):
            found |= await self._database.read(partial(self._tenants, ids=job_ids[first : first + _IDS_PER_QUERY]))
        return found

    def _tenants(self, connection: Connection, *, ids: Sequence[str]) -> dict[str, str]:
        query = select(jobs.c.job_id, jobs.c.tenant).where(
            jobs.c.cell == self._cell, jobs.c.job_id.in_([storable(one) for one in ids]), jobs.c.tenant.is_not(None)
        )
        return {row.job_id: row.tenant for row in connection.execute(query)}
