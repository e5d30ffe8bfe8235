"""What a cell's machines cost since the day and the month began, by tenant and all together, runs that have not ended included.

It is what `northstar costs` counts (a run costs its share of its machine's time; the fleet costs the time in which machines were there),
with one thing more: what runs now has cost something too. What is known for good is added up once and kept, so that a look reads the time
since the one before it, and only the first one since a start reads the whole month. A price that a machine names, or changes, after it came
counts from then on here, and for the whole of its stay there.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from northstar.domain.budgets import Spent
from northstar.domain.jobs import JobStatus
from northstar.domain.machine_time import Bill
from northstar.policy.fleet.budgets import began_ms, days_until
from northstar.store.history.cost_reader import RunningWork
from northstar.store.snapshots import CellReader

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from northstar.policy.routing.snapshot import CellSnapshot
    from northstar.store.cell import Cell
    from northstar.store.history.cost_reader import CostReader

_PAGE: Final = 500
#: How long a look waits for the history to have what has ended: it is a moment behind, seconds and times.
_PATIENCE_S: Final = 0.1
_PATIENCE: Final = 20


class SpentNow(msgspec.Struct, frozen=True, kw_only=True):
    """What was spent until `now_ms` of the cell's clock. `is_whole`: the history has all that had ended by then."""

    now_ms: int
    tenants: Mapping[str, Spent] = {}
    fleet: Spent = Spent()
    is_whole: bool = True

    def of(self, tenant: str) -> Spent:
        """What was spent for a tenant."""
        return self.tenants.get(tenant, Spent())


class _Sum(msgspec.Struct, kw_only=True):
    """US dollars and hours without a price, by tenant, and of the fleet."""

    tenants: dict[str, Bill] = msgspec.field(default_factory=dict)
    fleet: Bill = msgspec.field(default_factory=Bill)


class Spending:
    """Of one cell. What it has added up is forgotten with the month, and with the process."""

    def __init__(
        self,
        cell: Cell,
        costs: CostReader,
        *,
        reader: CellReader | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`reader` may be shared."""
        self._cell = cell
        self._costs = costs
        self._reader = reader or CellReader(cell.client, cell.keys)
        self._sleep = sleep
        #: What is known for good, by the beginning of its day, and up to when.
        self._kept: dict[int, _Sum] = {}
        self._kept_until_ms = 0

    async def look(self) -> SpentNow:
        """What was spent until now. Raises Unavailable: cell or history do not answer."""
        now_ms = (await self._cell.inspect(())).now_ms
        # First what runs, then what has ended: a run that ends between the two is in both, and known by its claim.
        running = await self._running()
        is_whole = await self._history_has_all()
        month_ms = began_ms("month", now_ms)
        if not month_ms <= self._kept_until_ms <= now_ms:
            self._kept, self._kept_until_ms = {}, month_ms
        sums = {day_ms: _copy(kept) for day_ms, kept in self._kept.items()}
        for since_ms, until_ms in days_until(self._kept_until_ms, now_ms):
            told = await self._costs.spent(since_ms=since_ms, until_ms=until_ms, running=running)
            day = sums.setdefault(began_ms("day", since_ms), _Sum())
            for tenant, bill in told.by_tenant.items():
                _add(day.tenants.setdefault(tenant, Bill()), bill)
            _add(day.fleet, told.fleet)
        if is_whole:
            self._kept, self._kept_until_ms = sums, now_ms
        return _told(sums, now_ms=now_ms, is_whole=is_whole)

    async def _running(self) -> list[RunningWork]:
        view = await self._reader.snapshot()
        found: dict[tuple[str, int], RunningWork] = {}
        after = ""
        while True:
            page = await self._cell.list_jobs("leases", after=after, count=_PAGE)
            jobs = (await self._cell.inspect(page.jobs)).jobs if page.jobs else []
            for job in jobs:
                record = job.record
                if record.status == JobStatus.RUNNING and record.started_ms > 0:
                    one = RunningWork(
                        job_id=job.id,
                        claim=record.claims,
                        machine=record.machine,
                        started_ms=record.started_ms,
                        tenant=record.tenant,
                        price_usd_per_hour=_price(view, record.machine),
                    )
                    found[one.run] = one
            after = page.after
            if not after:
                return list(found.values())

    async def _history_has_all(self) -> bool:
        """Whether the history comes to have all that has happened by now, within the patience of a look."""
        counts = (await self._cell.statistics()).counts
        happened = counts["event"]
        for _ in range(_PATIENCE):
            if counts["committed_event"] >= happened:
                return True
            await self._sleep(_PATIENCE_S)
            counts = (await self._cell.statistics()).counts
        return counts["committed_event"] >= happened


def _price(view: CellSnapshot, machine: str) -> float | None:
    """What an hour of the machine costs; None is "nobody has said it"."""
    state = view.machines.get(machine)
    return None if state is None else state.description.price_usd_per_hour or None


def _copy(kept: _Sum) -> _Sum:
    return _Sum(
        tenants={tenant: msgspec.structs.replace(bill) for tenant, bill in kept.tenants.items()},
        fleet=msgspec.structs.replace(kept.fleet),
    )


def _add(total: Bill, bill: Bill) -> None:
    total.runs += bill.runs
    total.hours += bill.hours
    total.usd += bill.usd
    total.unpriced_h += bill.unpriced_h


def _told(sums: Mapping[int, _Sum], *, now_ms: int, is_whole: bool) -> SpentNow:
    today = sums.get(began_ms("day", now_ms), _Sum())
    names = {tenant for day in sums.values() for tenant in day.tenants}
    return SpentNow(
        now_ms=now_ms,
        tenants={
            name: _spent(today.tenants.get(name), [day.tenants.get(name) for day in sums.values()]) for name in names
        },
        fleet=_spent(today.fleet, [day.fleet for day in sums.values()]),
        is_whole=is_whole,
    )


def _spent(today: Bill | None, days: list[Bill | None]) -> Spent:
    return Spent(
        day_usd=0.0 if today is None else today.usd,
        month_usd=sum(day.usd for day in days if day is not None),
        hours_without_price=sum(day.unpriced_h for day in days if day is not None),
    )
