"""Reading the history: pages by key, each with a bound, never by offset."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from sqlalchemy import Connection, Row, and_, func, or_, select, tuple_

from northstar.domain.events import Event, EventId
from northstar.domain.jobs import JobStatus
from northstar.store.history.continuity import BEGINNING, Gap
from northstar.store.history.errors import HistoryQueryInvalid
from northstar.store.history.finished_jobs import FinishedJob
from northstar.store.history.tables import events, gaps, jobs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.store.history.database import HistoryDatabase

MAX_PAGE = 1_000
#: Far below the bound of parameters of one statement.
_JOBS_PER_QUERY = 500

TotalsBy = Literal["status", "tenant", "pool", "service", "machine", "error_code"]


class JobFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which finished jobs: all that are everything that is said here. Times are of their end, ms; `until_ms` is left out itself."""

    job: str | None = None
    tenant: str | None = None
    pool: str | None = None
    machine: str | None = None
    status: JobStatus | None = None
    since_ms: int | None = None
    until_ms: int | None = None


class JobPage(msgspec.Struct, frozen=True):
    """Finished jobs, latest first; `after` is the cursor of the next page, "" at the end."""

    jobs: list[FinishedJob]
    after: str


class EventPage(msgspec.Struct, frozen=True):
    """Events, earliest first; `after` is the cursor of the next page, None at the end."""

    events: list[Event]
    after: EventId | None


class Total(msgspec.Struct, frozen=True):
    """Finished jobs under one name. Means are over the jobs whose time is known; None when there are none."""

    name: str | None
    jobs: int
    succeeded: int
    waited_ms_mean: float | None
    ran_ms_mean: float | None


class HistoryReader:
    """Reads one cell's history. Every method raises Unavailable when the database does not answer."""

    def __init__(self, database: HistoryDatabase, *, cell: str) -> None:
        self._database = database
        self._cell = cell

    async def recent_jobs(
        self, *, tenant: str | None = None, status: JobStatus | None = None, after: str = "", count: int = 100
    ) -> JobPage:
        """Finished jobs, latest first, a page at a time.

        Raises:
            HistoryQueryInvalid: `count` is not 1 to 1,000, or `after` is no cursor of ours.
        """
        return await self.finished_jobs(JobFilter(tenant=tenant, status=status), after=after, count=count)

    async def finished_jobs(self, wanted: JobFilter, *, after: str = "", count: int = 100) -> JobPage:
        """As `recent_jobs`, with every filter. Raises HistoryQueryInvalid."""
        cursor = _read_cursor(after) if after else None
        _check_count(count)
        return await self._database.read(partial(self._jobs, wanted=wanted, cursor=cursor, count=count))

    def _jobs(
        self, connection: Connection, *, wanted: JobFilter, cursor: tuple[int, str] | None, count: int
    ) -> JobPage:
        names = FinishedJob.__struct_fields__
        query = select(*(jobs.c[name] for name in names)).where(jobs.c.cell == self._cell)
        for column, value in (
            (jobs.c.job_id, wanted.job),
            (jobs.c.tenant, wanted.tenant),
            (jobs.c.status, wanted.status),
        ):
            query = query if value is None else query.where(column == value)
        for column, value in ((jobs.c.pool, wanted.pool), (jobs.c.machine, wanted.machine)):
            query = query if value is None else query.where(column == value)
        if wanted.since_ms is not None:
            query = query.where(jobs.c.finished_ms >= wanted.since_ms)
        if wanted.until_ms is not None:
            query = query.where(jobs.c.finished_ms < wanted.until_ms)
        if cursor is not None:
            query = query.where(tuple_(jobs.c.finished_ms, jobs.c.job_id) < cursor)
        query = query.order_by(jobs.c.finished_ms.desc(), jobs.c.job_id.desc()).limit(count)
        found = [msgspec.convert(dict(zip(names, row, strict=True)), FinishedJob) for row in connection.execute(query)]
        last = found[-1] if len(found) == count else None
        return JobPage(found, f"{last.finished_ms}.{last.job_id}" if last else "")

    async def job_events(self, job_id: str, *, after: EventId = BEGINNING, count: int = 100, of: str = "") -> EventPage:
        """What happened to a job (or machine, or scope), in order, a page at a time; `of` is the beginning of the kinds that are meant.

        Raises:
            HistoryQueryInvalid
        """
        _check_count(count)
        return await self._database.read(partial(self._events, subject=job_id, after=after, count=count, of=of))

    def _events(self, connection: Connection, *, subject: str, after: EventId, count: int, of: str) -> EventPage:
        later = or_(
            events.c.epoch > after.epoch, and_(events.c.epoch == after.epoch, events.c.sequence > after.sequence)
        )
        query = (
            select(events)
            .where(events.c.cell == self._cell, events.c.subject == subject, later)
            .where(events.c.kind.startswith(of, autoescape=True))
            .order_by(events.c.epoch, events.c.sequence)
            .limit(count)
        )
        found = [event_of(row) for row in connection.execute(query)]
        return EventPage(found, found[-1].id if len(found) == count else None)

    async def latest_events(self, subject: str, *, kinds: Sequence[str], count: int = 100) -> list[Event]:
        """What of some kinds happened last to a machine (or job, or scope), latest first. Raises HistoryQueryInvalid."""
        _check_count(count)
        return await self._database.read(partial(self._latest_events, subject=subject, kinds=kinds, count=count))

    def _latest_events(self, connection: Connection, *, subject: str, kinds: Sequence[str], count: int) -> list[Event]:
        query = (
            select(events)
            .where(events.c.cell == self._cell, events.c.subject == subject, events.c.kind.in_(kinds))
            .order_by(events.c.epoch.desc(), events.c.sequence.desc())
            .limit(count)
        )
        return [event_of(row) for row in connection.execute(query)]

    async def machines(self, job_ids: Sequence[str]) -> dict[str, str]:
        """The machines that ran these jobs last, of those that have ended and ran at all; any number of them."""
        found: dict[str, str] = {}
        for first in range(0, len(job_ids), _JOBS_PER_QUERY):
            found |= await self._database.read(partial(self._machines, ids=job_ids[first : first + _JOBS_PER_QUERY]))
        return found

    def _machines(self, connection: Connection, *, ids: Sequence[str]) -> dict[str, str]:
        query = select(jobs.c.job_id, jobs.c.machine).where(
            jobs.c.cell == self._cell, jobs.c.job_id.in_(ids), jobs.c.machine.is_not(None)
        )
        return {row.job_id: row.machine for row in connection.execute(query)}

    async def totals(self, *, since_ms: int, until_ms: int, by: TotalsBy = "status", count: int = 100) -> list[Total]:
        """Jobs finished from `since_ms` to before `until_ms`, the `count` names with the most jobs first.

        Raises:
            HistoryQueryInvalid: `count` is not 1 to 1,000, or the time ends before it begins.
        """
        _check_count(count)
        if until_ms < since_ms:
            raise HistoryQueryInvalid(field="until_ms", reason="it lies before since_ms")
        return await self._database.read(
            partial(self._totals, since_ms=since_ms, until_ms=until_ms, by=by, count=count)
        )

    def _totals(self, connection: Connection, *, since_ms: int, until_ms: int, by: TotalsBy, count: int) -> list[Total]:
        name, number = jobs.c[by], func.count()
        query = (
            select(
                name,
                number,
                func.count().filter(jobs.c.status == "succeeded"),
                func.avg(jobs.c.waited_ms),
                func.avg(jobs.c.ran_ms),
            )
            .where(jobs.c.cell == self._cell, jobs.c.finished_ms >= since_ms, jobs.c.finished_ms < until_ms)
            .group_by(name)
            .order_by(number.desc(), name)
            .limit(count)
        )
        return [
            Total(found, total, good, _float(waited), _float(ran))
            for found, total, good, waited, ran in connection.execute(query)
        ]

    async def gaps(self, *, count: int = 100) -> list[Gap]:
        """The latest places where this history is not known to be whole, latest first. Raises HistoryQueryInvalid."""
        _check_count(count)
        return await self._database.read(partial(self._gaps, count=count))

    def _gaps(self, connection: Connection, *, count: int) -> list[Gap]:
        query = select(gaps).where(gaps.c.cell == self._cell)
        query = query.order_by(gaps.c.next_epoch.desc(), gaps.c.next_sequence.desc()).limit(count)
        return [
            Gap(
                last=EventId(row.last_epoch, row.last_sequence),
                next=EventId(row.next_epoch, row.next_sequence),
                reason=row.reason,
                missing=row.missing,
                disowned=row.disowned,
                at_ms=row.at_ms,
            )
            for row in connection.execute(query)
        ]


def event_of(row: Row[Any]) -> Event:
    """The event that a row of the table tells."""
    return Event(
        id=EventId(row.epoch, row.sequence),
        kind=row.kind,
        subject=row.subject,
        number=row.number,
        at_ms=row.at_ms,
        data=row.data,
    )


def _float(value: object) -> float | None:
    return None if value is None else float(str(value))


def _check_count(count: int) -> None:
    if not 1 <= count <= MAX_PAGE:
        raise HistoryQueryInvalid(field="count", reason=f"{count} is not 1 to {MAX_PAGE}")


def _read_cursor(text: str) -> tuple[int, str]:
    finished_ms, dot, job_id = text.partition(".")
    if not dot or not job_id or not finished_ms.isdecimal() or len(finished_ms) > 18:
        raise HistoryQueryInvalid(field="after", reason=f"{text[:80]!r} is no cursor that a page has given")
    return int(finished_ms), job_id
