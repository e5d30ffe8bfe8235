"""Reading attempts: pages by key, each with a bound; and the runs that durations are learned from."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, Text, and_, cast, or_, select

from northstar.domain.estimates import FinishedRun
from northstar.domain.events import EventId
from northstar.store.history.attempts import Attempt, AttemptOutcome, main_model
from northstar.store.history.continuity import BEGINNING
from northstar.store.history.errors import HistoryQueryInvalid
from northstar.store.history.tables import attempts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.store.history.database import HistoryDatabase

MAX_PAGE: Final = 1_000
_NAMES: Final = Attempt.__struct_fields__


class AttemptFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which attempts: all that are everything that is said here. Times are of their end, ms; `until_ms` is left out itself."""

    job: str | None = None
    tenant: str | None = None
    user: str | None = None
    pool: str | None = None
    machine: str | None = None
    #: The name of a model file that the run needed.
    model: str | None = None
    outcome: AttemptOutcome | None = None
    since_ms: int | None = None
    until_ms: int | None = None


#: Every attempt.
ALL: Final = AttemptFilter()


class AttemptPage(msgspec.Struct, frozen=True):
    """Attempts; `after` is the cursor of the next page, "" at the end."""

    attempts: list[Attempt]
    after: str


class AttemptReader:
    """Reads one cell's attempts. Every method raises Unavailable when the database does not answer."""

    def __init__(self, database: HistoryDatabase, *, cell: str) -> None:
        self._database = database
        self._cell = cell

    async def latest(self, wanted: AttemptFilter = ALL, *, after: str = "", count: int = 100) -> AttemptPage:
        """Attempts by their end, latest first. Raises HistoryQueryInvalid for a bad count or cursor."""
        cursor = _read_cursor(after) if after else None
        return await self._page(wanted, cursor=cursor, count=count, latest_first=True)

    async def earliest(self, wanted: AttemptFilter = ALL, *, after: str = "", count: int = 1_000) -> AttemptPage:
        """Attempts by their end, earliest first. Raises HistoryQueryInvalid for a bad count or cursor."""
        cursor = _read_cursor(after) if after else BEGINNING
        return await self._page(wanted, cursor=cursor, count=count, latest_first=False)

    async def finished_runs(self, after: EventId = BEGINNING, count: int = 1_000) -> tuple[list[FinishedRun], EventId]:
        """Runs that succeeded and were measured, in the order in which they ended, and where to go on; pages may be short.

        Raises:
            HistoryQueryInvalid: `count` is not 1 to 1,000.
        """
        page = await self._page(AttemptFilter(outcome="succeeded"), cursor=after, count=count, latest_first=False)
        last = page.attempts[-1] if page.attempts else None
        runs = [_finished(one, ran_s) for one in page.attempts if (ran_s := one.running_s) is not None]
        return runs, EventId(last.epoch, last.sequence) if last else after

    async def place_of_latest(self, count: int) -> EventId:
        """The place after which the latest `count` runs that succeeded come; the beginning where there are no more than these."""
        return await self._database.read(partial(_place_of_latest, cell=self._cell, count=count))

    async def _page(
        self, wanted: AttemptFilter, *, cursor: EventId | None, count: int, latest_first: bool
    ) -> AttemptPage:
        if not 1 <= count <= MAX_PAGE:
            raise HistoryQueryInvalid(field="count", reason=f"{count} is not 1 to {MAX_PAGE}")
        where = [attempts.c.cell == self._cell, *conditions(wanted)]
        if cursor is not None:
            where.append(_before(cursor) if latest_first else _after(cursor))
        found = await self._database.read(partial(_read, where=where, count=count, latest_first=latest_first))
        last = found[-1] if len(found) == count else None
        return AttemptPage(found, str(EventId(last.epoch, last.sequence)) if last else "")


def conditions(wanted: AttemptFilter) -> list[ColumnElement[bool]]:
    """The filter in SQL."""
    named = {"job_id": wanted.job, "tenant": wanted.tenant, "user": wanted.user, "pool": wanted.pool}
    named |= {"machine": wanted.machine, "outcome": wanted.outcome}
    where = [attempts.c[name] == value for name, value in named.items() if value is not None]
    if wanted.model is not None:
        # Both databases keep the text as it was written, names first.
        text = f'"name":{msgspec.json.encode(wanted.model).decode()}'
        where.append(cast(attempts.c.models, Text).contains(text, autoescape=True))
    if wanted.since_ms is not None:
        where.append(attempts.c.ended_ms >= wanted.since_ms)
    if wanted.until_ms is not None:
        where.append(attempts.c.ended_ms < wanted.until_ms)
    return where


def _read(
    connection: Connection, *, where: Sequence[ColumnElement[bool]], count: int, latest_first: bool
) -> list[Attempt]:
    order = [attempts.c.epoch, attempts.c.sequence]
    query = select(*(attempts.c[name] for name in _NAMES)).where(*where)
    query = query.order_by(*(column.desc() if latest_first else column for column in order)).limit(count)
    return [msgspec.convert(dict(zip(_NAMES, row, strict=True)), Attempt) for row in connection.execute(query)]


def _place_of_latest(connection: Connection, *, cell: str, count: int) -> EventId:
    query = (
        select(attempts.c.epoch, attempts.c.sequence)
        .where(attempts.c.cell == cell, attempts.c.outcome == "succeeded")
        .order_by(attempts.c.epoch.desc(), attempts.c.sequence.desc())
        .offset(count)
        .limit(1)
    )
    row = connection.execute(query).first()
    return BEGINNING if row is None else EventId(row.epoch, row.sequence)


def _after(cursor: EventId) -> ColumnElement[bool]:
    same = and_(attempts.c.epoch == cursor.epoch, attempts.c.sequence > cursor.sequence)
    return or_(attempts.c.epoch > cursor.epoch, same)


def _before(cursor: EventId) -> ColumnElement[bool]:
    same = and_(attempts.c.epoch == cursor.epoch, attempts.c.sequence < cursor.sequence)
    return or_(attempts.c.epoch < cursor.epoch, same)


def _finished(attempt: Attempt, ran_s: float) -> FinishedRun:
    return FinishedRun(
        shape=attempt.shape or "",
        service=attempt.service or "",
        model=main_model(attempt.models),
        user=f"{attempt.tenant}/{attempt.user}" if attempt.user else "",
        gpu_class=attempt.gpu_class or "",
        ran_s=ran_s,
        work=attempt.work or 0.0,
        finished_ms=attempt.ended_ms,
        machine=attempt.machine or "",
        tenant=attempt.tenant or "",
        held_s=attempt.held_s,
    )


def _read_cursor(text: str) -> EventId:
    try:
        cursor = EventId.parse(text)
    except ValueError:
        cursor = EventId(-1, -1)
    if not (0 <= cursor.epoch < _MOST and 0 <= cursor.sequence < _MOST):
        raise HistoryQueryInvalid(field="after", reason=f"{text[:80]!r} is no cursor that a page has given")
    return cursor


_MOST: Final[Any] = 2**62
