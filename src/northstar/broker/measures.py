"""A cell in numbers, for those who watch it: what waits and runs, who works, and how far the history is behind."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import msgspec

from northstar.broker.budgets import BudgetsSeen
from northstar.domain.budgets import FLEET
from northstar.store.history.state import read_history_state
from northstar.store.snapshots import CellReader

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from northstar.policy.routing.snapshot import CellSnapshot, MachineState
    from northstar.store.cell import Cell

#: What a pool is called that is not in force any more, so that names of the past do not pile up.
OTHER_POOL: Final = "other"


class PoolMeasures(msgspec.Struct, frozen=True, kw_only=True):
    """One pool. A machine that serves several pools counts in each."""

    waiting: int = 0
    running: int = 0
    machines: int = 0
    slots: int = 0
    busy_slots: int = 0


class CellMeasures(msgspec.Struct, frozen=True, kw_only=True):
    """The cell at one moment."""

    #: Jobs by where they are: waiting, running, delayed, finished; and dead ones, which are finished too.
    jobs: dict[str, int]
    #: Jobs ever, by what became of them; every broker of the cell tells the same.
    ever: dict[str, int]
    pools: dict[str, PoolMeasures]
    #: By their status: active, draining or out.
    machines: dict[str, int]
    #: Events that the history has not recorded yet, and whether it has stopped to record any.
    history_behind: int
    history_stuck: bool
    pauses: int
    #: Budgets that are spent, and those that nearly are.
    budgets_spent: int = 0
    budgets_nearly_spent: int = 0
    #: The fleet's, by day and month, US dollars: what may be spent, where there is a budget, and what is; nothing where nobody has one.
    fleet_budget_usd: dict[str, float] = {}
    fleet_spent_usd: dict[str, float] = {}


class Measures:
    """Measures of one cell, taken at most every `fresh_s` however many ask."""

    def __init__(
        self,
        cell: Cell,
        *,
        pools: Callable[[], Collection[str]],
        monotonic: Callable[[], float],
        reader: CellReader | None = None,
        fresh_s: float = 2.0,
        budgets: Callable[[], BudgetsSeen] = BudgetsSeen,
    ) -> None:
        """`pools` are those in force; `budgets` are as they were looked at last."""
        self._budgets = budgets
        self._cell = cell
        self._pools = pools
        self._monotonic = monotonic
        self._reader = reader or CellReader(cell.client, cell.keys)
        self._fresh_s = fresh_s
        self._taking = asyncio.Lock()
        self._taken: CellMeasures | None = None
        self._taken_s = -math.inf

    async def take(self) -> CellMeasures:
        """Raises Unavailable: the cell does not answer."""
        async with self._taking:
            if self._taken is None or self._monotonic() - self._taken_s >= self._fresh_s:
                self._taken = await self._measured()
                self._taken_s = self._monotonic()
            return self._taken

    async def _measured(self) -> CellMeasures:
        counts = (await self._cell.statistics()).counts
        history = await read_history_state(self._cell, now_ms=counts["now_ms"])
        view = await self._reader.snapshot()
        return CellMeasures(
            jobs={
                "waiting": counts["waiting_size"],
                "running": counts["leases_size"],
                "delayed": counts["delayed_size"],
                "finished": counts["finished_size"],
                "dead": counts["dead_size"],
            },
            ever={name: counts[name] for name in ("submitted", "succeeded", "failed", "canceled", "expired")},
            pools=pools_measured(view, set(self._pools())),
            machines=dict(Counter(map(machine_status, view.machines.values()))),
            history_behind=max(0, counts["event"] - counts["committed_event"]),
            history_stuck=history.stuck,
            pauses=counts["pauses_size"],
            **_budgets_measured(self._budgets()),
        )


def _budgets_measured(seen: BudgetsSeen) -> dict[str, Any]:
    """Tenants are counted and not named: there may be any number of them."""
    fleet = seen.fleet
    spent, nearly = ({one.whose for one in seen.budgets if one.level == level} for level in ("stopped", "warned"))
    return {
        "budgets_spent": len(spent),
        "budgets_nearly_spent": len(nearly - spent),
        "fleet_budget_usd": {one.period: one.limit_usd for one in seen.of(FLEET)},
        "fleet_spent_usd": {} if fleet is None else {"day": fleet.day_usd, "month": fleet.month_usd},
    }


def pools_measured(view: CellSnapshot, in_force: Collection[str]) -> dict[str, PoolMeasures]:
    """Each pool in force, and all others as one."""
    waiting, running, machines, slots, busy = (Counter[str]() for _ in range(5))

    def called(pool: str) -> str:
        return pool if pool in in_force else OTHER_POOL

    for lane in view.lanes.values():
        wanted = view.classes.get(lane.requirement_class)
        name = OTHER_POOL if wanted is None else called(wanted.pool)
        waiting[name] += lane.waiting
        running[name] += lane.running
    for machine in view.machines.values():
        profile = view.profiles.get(machine.profile)
        for name in {called(pool) for pool in (() if profile is None else profile.pools)}:
            machines[name] += 1
            slots[name] += machine.slots if machine.takes_work else 0
            busy[name] += machine.used
    names = set(in_force) | waiting.keys() | machines.keys()
    return {
        name: PoolMeasures(
            waiting=waiting[name],
            running=running[name],
            machines=machines[name],
            slots=slots[name],
            busy_slots=busy[name],
        )
        for name in sorted(names)
    }


def machine_status(machine: MachineState) -> str:
    """`active`, `draining`, or `out`: it takes no work though nobody drains it."""
    if not machine.active:
        return "draining"
    return "active" if machine.takes_work else "out"
