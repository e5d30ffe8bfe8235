"""What machine time was spent on, and what of it was idle, out of the attempts and the stays of machines."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec
from sqlalchemy import Connection, Row, or_, select, tuple_

from northstar.domain.machine_time import Bill, SharedTime, Work
from northstar.store.history.attempts import ModelInAttempt, main_model
from northstar.store.history.errors import HistoryQueryInvalid
from northstar.store.history.tables import attempts, presences

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from northstar.store.history.database import HistoryDatabase

CostsBy: TypeAlias = Literal["job", "tenant", "user", "pool", "model", "machine", "gpu_class"]
#: Names that one question may be about; beyond that a shorter time must be asked for.
MAX_NAMES: Final = 100_000
_PAGE: Final = 5_000
_COLUMNS: Final[dict[str, str]] = {"job": "job_id", "model": "models"}
#: The name of work that is none of the tenant's who asks; no name has a NUL.
_OTHERS: Final = "\0"
_KEY: Final = (attempts.c.machine, attempts.c.started_ms, attempts.c.job_id, attempts.c.claim)


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """Machine time from `since_ms` to before `until_ms`. Shares and idle time add up to the time in which machines were there."""

    since_ms: int
    until_ms: int
    #: By name, the dearest first; None is what nobody named.
    by: list[tuple[str | None, Bill]]
    #: All names together, also those that are not listed.
    busy: Bill
    idle: Bill
    machines: int


class RunningWork(msgspec.Struct, frozen=True, kw_only=True):
    """A run that has not ended, as the cell tells it: what an attempt of the history will say of it, as far as costs go."""

    job_id: str
    claim: int
    machine: str
    started_ms: int
    tenant: str
    price_usd_per_hour: float | None = None
    ended_ms: int = 2**62

    @property
    def run(self) -> tuple[str, int]:
        """By what it is known once it has ended."""
        return (self.job_id, self.claim)


class SpentTime(msgspec.Struct, frozen=True, kw_only=True):
    """What a stretch of time cost: by tenant, and all machines while they were there, whether or not they worked."""

    by_tenant: dict[str, Bill]
    fleet: Bill


class _Counted(msgspec.Struct, kw_only=True):
    """What is added up."""

    bills: dict[str | None, Bill]
    busy: Bill
    idle: Bill
    machines: int


class CostReader:
    """Reads one cell's costs. Raises Unavailable when the database does not answer."""

    def __init__(self, database: HistoryDatabase, *, cell: str, page: int = _PAGE) -> None:
        """`page` is how many runs are in memory at a time."""
        self._database = database
        self._cell = cell
        self._page = page

    async def costs(
        self, *, since_ms: int, until_ms: int, by: CostsBy = "tenant", count: int = 100, tenant: str | None = None
    ) -> Costs:
        """Who used how much machine time. A run counts only once it has ended; while it lasts, its machine looks idle.

        `until_ms` lies in the past: a machine that is there is taken to have been there until then. With a `tenant`, names and `busy` are of
        its work alone; what it shares a machine's time with counts all the same.

        Raises:
            HistoryQueryInvalid: the time ends before it begins, or there are more than 100,000 names in it.
        """
        if until_ms <= since_ms:
            raise HistoryQueryInvalid(field="until_ms", reason="it does not lie after since_ms")
        counted = await self._counted(by, since_ms=since_ms, until_ms=until_ms, tenant=tenant)
        dearest = sorted(counted.bills.items(), key=lambda item: (-item[1].usd, -item[1].hours, item[0] or ""))
        return Costs(
            since_ms=since_ms,
            until_ms=until_ms,
            by=dearest[:count],
            busy=counted.busy,
            idle=counted.idle,
            machines=counted.machines,
        )

    async def spent(self, *, since_ms: int, until_ms: int, running: Sequence[RunningWork]) -> SpentTime:
        """The same of all tenants, with what `running` has cost until then; a run that has ended meanwhile counts once.

        Costs of two stretches of time, one after the other, add up to those of both together.

        Raises:
            HistoryQueryInvalid: the time ends before it begins, or there are more than 100,000 tenants in it.
        """
        if until_ms <= since_ms:
            raise HistoryQueryInvalid(field="until_ms", reason="it does not lie after since_ms")
        counted = await self._counted("tenant", since_ms=since_ms, until_ms=until_ms, tenant=None, running=running)
        fleet, busy, idle = Bill(), counted.busy, counted.idle
        fleet.usd, fleet.hours = busy.usd + idle.usd, busy.hours + idle.hours
        fleet.unpriced_h = busy.unpriced_h + idle.unpriced_h
        return SpentTime(by_tenant={name or "": bill for name, bill in counted.bills.items()}, fleet=fleet)

    async def _counted(
        self,
        by: CostsBy,
        *,
        since_ms: int,
        until_ms: int,
        tenant: str | None,
        running: Sequence[RunningWork] = (),
    ) -> _Counted:
        bills: dict[str | None, Bill] = {}
        busy, idle = Bill(), Bill()
        busy_ms: dict[str, float] = {}
        shares = self._shares(by, since_ms=since_ms, until_ms=until_ms, tenant=tenant, running=running)
        async for machine, work, share_ms in shares:
            busy_ms[machine] = busy_ms.get(machine, 0.0) + share_ms
            if work.name == _OTHERS:
                continue
            name = work.name or None
            if name not in bills and len(bills) >= MAX_NAMES:
                raise HistoryQueryInvalid(field="since_ms", reason=f"more than {MAX_NAMES} names: ask for less time")
            for bill in (bills.setdefault(name, Bill()), busy):
                bill.add(share_ms, price_usd_per_hour=work.price_usd_per_hour)
        stays = await self._database.read(partial(_stays, cell=self._cell, since_ms=since_ms, until_ms=until_ms))
        for machine, there_ms, price in stays:
            used_ms = min(there_ms, busy_ms.get(machine, 0.0))
            busy_ms[machine] = busy_ms.get(machine, 0.0) - used_ms
            idle.add(there_ms - used_ms, price_usd_per_hour=price, runs=0)
        return _Counted(
            bills=bills,
            busy=busy,
            idle=idle,
            machines=len({machine for machine, _, _ in stays} | busy_ms.keys()),
        )

    async def _shares(
        self, by: CostsBy, *, since_ms: int, until_ms: int, tenant: str | None, running: Sequence[RunningWork]
    ) -> AsyncIterator[tuple[str, Work, float]]:
        """Each run with its machine and its share of the machine's time; a page of runs is in memory at a time."""
        machine, time = "", SharedTime()
        ended = self._ended(since_ms=since_ms, until_ms=until_ms)
        async for row in _with_running(ended, [one for one in running if one.started_ms < until_ms]):
            if row.machine != machine:
                for work, share_ms in time.end():
                    yield machine, work, share_ms
                machine, time = row.machine, SharedTime()
            for work, share_ms in time.begin(_work(row, by=by, since_ms=since_ms, until_ms=until_ms, tenant=tenant)):
                yield machine, work, share_ms
        for work, share_ms in time.end():
            yield machine, work, share_ms

    async def _ended(self, *, since_ms: int, until_ms: int) -> AsyncIterator[Row[Any]]:
        """The runs of this time by machine, those of each by their beginning."""
        cursor: tuple[Any, ...] | None = None
        while True:
            read = partial(
                _runs, cell=self._cell, since_ms=since_ms, until_ms=until_ms, cursor=cursor, count=self._page
            )
            page = await self._database.read(read)
            for row in page:
                yield row
            if len(page) < self._page:
                return
            last = page[-1]
            cursor = (last.machine, last.started_ms, last.job_id, last.claim)


async def _with_running(ended: AsyncIterator[Row[Any]], running: Sequence[RunningWork]) -> AsyncIterator[Any]:
    """Both in the order of `ended`. Machines are told apart and not compared: databases sort text each in its own way."""
    left: dict[str, list[RunningWork]] = {}
    for one in sorted(running, key=lambda one: one.started_ms):
        left.setdefault(one.machine, []).append(one)
    machine, here = "", list[RunningWork]()
    async for row in ended:
        if row.machine != machine:
            for one in here:
                yield one
            machine, here = row.machine, left.pop(row.machine, [])
        # A run that has ended by now has begun when its attempt says so, so it is still among these when that is read.
        here = [one for one in here if one.run != (row.job_id, row.claim)]
        while here and here[0].started_ms < row.started_ms:
            yield here.pop(0)
        yield row
    for one in (*here, *(one for some in left.values() for one in some)):
        yield one


def _runs(
    connection: Connection, *, cell: str, since_ms: int, until_ms: int, cursor: tuple[Any, ...] | None, count: int
) -> list[Row[Any]]:
    query = select(
        *_KEY,
        attempts.c.ended_ms,
        attempts.c.price_usd_per_hour,
        *(attempts.c[name] for name in ("tenant", "user", "pool", "models", "gpu_class")),
    ).where(
        attempts.c.cell == cell,
        attempts.c.machine.is_not(None),
        attempts.c.ended_ms > since_ms,
        attempts.c.started_ms < until_ms,
    )
    if cursor is not None:
        query = query.where(tuple_(*_KEY) > cursor)
    return list(connection.execute(query.order_by(*_KEY).limit(count)))


def _work(row: Row[Any], *, by: CostsBy, since_ms: int, until_ms: int, tenant: str | None) -> Work:
    """What of the run lies within the time. Those that began before it all begin with it, so they stay in order."""
    return Work(
        name=_name(row, by) if tenant in {None, row.tenant} else _OTHERS,
        since_ms=max(since_ms, row.started_ms),
        until_ms=min(until_ms, row.ended_ms),
        price_usd_per_hour=row.price_usd_per_hour,
    )


def _name(row: Row[Any], by: CostsBy) -> str:
    value = getattr(row, _COLUMNS.get(by, by))
    if by == "model":
        return main_model(msgspec.convert(value, list[ModelInAttempt]))
    return value or ""


def _stays(connection: Connection, *, cell: str, since_ms: int, until_ms: int) -> list[tuple[str, float, float | None]]:
    """Each stay of a machine within the time: how long, ms, and at what price."""
    query = select(presences).where(
        presences.c.cell == cell,
        presences.c.since_ms < until_ms,
        or_(presences.c.until_ms > since_ms, presences.c.until_ms.is_(None)),
    )
    found = []
    for row in connection.execute(query):
        end_ms = until_ms if row.until_ms is None else min(until_ms, row.until_ms)
        begin_ms = max(since_ms, row.since_ms)
        found.append((row.machine, float(max(0, end_ms - begin_ms)), row.price_usd_per_hour))
    return found
