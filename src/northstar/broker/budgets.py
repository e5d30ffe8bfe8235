"""Keeping to budgets: what was spent is looked at every few seconds, and where a budget is spent nothing new begins.

Every broker does this, and all of them come to the same: what was decided is a document of the cell (`budget_notes`), which one of them
puts. A tenant's waiting jobs are held (`budget_holds`); for the fleet's budget the cell is paused. A stop ends with its day or month, or
when its budget is another one, and never by itself: what is known of costs may shrink while the history is behind. Work that runs goes on.

A pause that an operator set or took over is left as it is (`pauses`), and one that was set by this module is known by its name
(`domain.budgets.NORTH_STAR`).

Adding up what was spent reads the history and all that runs, so it is done every few seconds and when somebody's budget has changed, and not at
each change of any document: what others have noted is followed without it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Final

import msgspec

from northstar.broker.budget_notes import WARNING, BudgetNotes, means_documents
from northstar.broker.fleet_budget import FleetBudget, read_fleet_budget, seed_fleet_budget
from northstar.broker.pauses import resume_after_budget
from northstar.broker.said_once import SaidOnce
from northstar.domain.budgets import FLEET, NORTH_STAR, BudgetNow
from northstar.domain.errors import NorthstarError
from northstar.domain.refusals import QueueRefusal
from northstar.policy.fleet.budgets import budgets_now, deciding, is_noted, note_of, pause_of
from northstar.store.pauses import read_pauses
from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from northstar.broker.budget_holds import BudgetHolds
    from northstar.broker.spending import Spending, SpentNow
    from northstar.domain.budgets import BudgetNote, Level, Spent
    from northstar.domain.tenancy import Tenants
    from northstar.store.bells import Ring
    from northstar.store.cell import Cell

log = logger(__name__)

#: Seconds between rounds while work is held or comes back.
_ROUND_S: Final = 1.0
#: However often bells ring, seconds from one look to the next.
_AT_MOST_EVERY_S: Final = 0.2
_CELL: Final = "cell"
#: Looking itself, among the things of which something is said once. No tenant has this name.
_LOOK: Final = "*look"
#: The same of what the settings say of the fleet.
_SETTINGS: Final = "*settings"


class BudgetsSeen(msgspec.Struct, frozen=True, kw_only=True):
    """All budgets of a cell at one moment, `at_ms` of its clock, and what the fleet cost; 0: nobody has looked yet, or there is none."""

    at_ms: int = 0
    budgets: tuple[BudgetNow, ...] = ()
    fleet: Spent | None = None

    def of(self, whose: str) -> tuple[BudgetNow, ...]:
        """Those of a tenant, or of `*`."""
        return tuple(one for one in self.budgets if one.whose == whose)


def judged(spent: SpentNow, tenants: Tenants, fleet: FleetBudget) -> tuple[BudgetNow, ...]:
    """All budgets that are set, that of the fleet first."""
    wanted = {FLEET: (fleet.budget, spent.fleet)}
    wanted |= {name: (terms.budget, spent.of(name)) for name, terms in sorted(tenants.tenants.items())}
    return tuple(
        one
        for whose, (budget, theirs) in wanted.items()
        for one in budgets_now(whose, budget, theirs, now_ms=spent.now_ms, warn_at=fleet.warn_at)
    )


class BudgetKeeper:
    """Of one cell. Whoever listens to the cell's bells passes them to `hear`; `run` looks then, and every few seconds."""

    def __init__(
        self,
        cell: Cell,
        spending: Spending,
        *,
        terms: Callable[[], Tenants],
        holds: BudgetHolds,
        stops: BudgetNotes,
        fleet: FleetBudget | None = None,
        every_s: float = 5.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`stops` are those by which the process routes; `fleet` is what the settings say, put in force where the cell has never had a budget."""
        self._cell = cell
        self._spending = spending
        self._terms = terms
        self._holds = holds
        self._stops = stops
        self._warnings = BudgetNotes(cell, WARNING)
        #: What the settings say, until the next look; None: that was looked at.
        self.fleet = fleet
        #: All budgets that are set, as of the last look.
        self._set: dict[str, object] = {}
        self._said = SaidOnce()
        self._every_s = every_s
        self._monotonic = monotonic
        self._due = asyncio.Event()
        self.seen = BudgetsSeen()

    def hear(self, ring: Ring) -> None:
        """Have `run` see at once what has changed, if documents may have."""
        if means_documents(ring):
            self._due.set()

    async def run(self) -> None:
        """Until cancelled. What cannot be looked at is looked at again, and meanwhile nothing that was stopped goes on."""
        looked_s = -self._every_s
        while True:
            is_rung = self._due.is_set()
            self._due.clear()
            try:
                if self._monotonic() - looked_s >= self._every_s or await self.has_changed(is_rung=is_rung):
                    looked_s = self._monotonic()
                    await self.step()
                elif not self._holds.is_idle:
                    await self._holds.step()
                self._said.over(_LOOK)
            except NorthstarError as exc:
                if self._said.is_news(_LOOK, exc.code):
                    log.warning("budgets_not_looked_at", cell=self._cell.name, code=exc.code, error=str(exc))
            await asyncio.sleep(_AT_MOST_EVERY_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ROUND_S - _AT_MOST_EVERY_S):
                    await self._due.wait()

    async def has_changed(self, *, is_rung: bool = True) -> bool:
        """Whether anybody's budget is another one than at the last look. What other brokers have noted is followed here. Raises Unavailable.

        `is_rung`: documents may have changed; without that only terms are compared, which the process has heard of by itself.
        """
        if self.fleet is not None:
            return True
        if is_rung and await self._stops.look():
            await self._pause()
            await self._holds.step()
        fleet = await read_fleet_budget(self._cell) if is_rung else self._set.get(FLEET)
        return self._all_set(self._terms(), fleet) != self._set

    async def step(self) -> BudgetsSeen:
        """One look, and what follows from it.

        Raises:
            Unavailable: the cell or its history do not answer, or nobody can say what the terms are; then what holds goes on.
        """
        if self.fleet is not None:
            await self._seed(self.fleet)
        await self._stops.look()
        await self._warnings.look()
        tenants, fleet = self._terms(), await read_fleet_budget(self._cell)
        all_set = self._all_set(tenants, fleet)
        if fleet.budget.limits_anything or len(all_set) > 1:
            spent = await self._spending.look()
            self.seen = BudgetsSeen(at_ms=spent.now_ms, budgets=judged(spent, tenants, fleet), fleet=spent.fleet)
        else:
            self.seen = BudgetsSeen()
        self._set = all_set
        await self._note()
        await self._pause()
        await self._holds.step()
        return self.seen

    async def _seed(self, said: FleetBudget) -> None:
        """Put the fleet's of the settings in force. Where the cell has no room for it tenants' are kept all the same, and the next look tries again."""
        try:
            await seed_fleet_budget(self._cell, said, by="serve")
        except QueueRefusal as exc:
            if self._said.is_news(_SETTINGS, exc.code):
                log.warning("budget_of_settings_not_in_force", cell=self._cell.name, code=exc.code, error=str(exc))
        else:
            self.fleet = None
            self._said.over(_SETTINGS)

    @staticmethod
    def _all_set(tenants: Tenants, fleet: object) -> dict[str, object]:
        """The fleet's, and those of tenants that limit anything."""
        limits = {name: terms.budget for name, terms in tenants.tenants.items() if terms.budget.limits_anything}
        return {FLEET: fleet, **limits}

    async def _note(self) -> None:
        """Have the notes say what holds."""
        theirs: dict[str, list[BudgetNow]] = {}
        for budget in self.seen.budgets:
            theirs.setdefault(budget.whose, []).append(budget)
        for whose in dict.fromkeys([*theirs, *self._stops.all, *self._warnings.all]):
            try:
                await self._note_one(whose, theirs.get(whose, []))
                self._said.over(whose)
            except QueueRefusal as exc:
                # The cell has no room for one note more: others' budgets are kept all the same.
                if self._said.is_news(whose, exc.code):
                    log.warning("budget_not_noted", cell=self._cell.name, whose=whose, code=exc.code, error=str(exc))
        await self._stops.look()
        await self._warnings.look()

    async def _note_one(self, whose: str, budgets: Sequence[BudgetNow]) -> None:
        stopped = await self._follow(self._stops, whose, budgets, "stopped", told="budget_spent")
        if not stopped or deciding(budgets, "warned") is not None:
            await self._follow(self._warnings, whose, budgets, "warned", told="budget_nearly_spent")

    async def _follow(
        self, notes: BudgetNotes, whose: str, budgets: Sequence[BudgetNow], level: Level, *, told: str
    ) -> bool:
        """Put, leave or take back one note; whether there is one now."""
        known, found = notes.all.get(whose), deciding(budgets, level)
        if found is None:
            if known is None:
                return False
            if _goes_on(known, budgets):
                return True
            if await notes.drop(whose):
                log.info("budget_there_again", cell=self._cell.name, whose=whose, level=level, was=known.because)
            return False
        is_told = known is not None and _goes_on(known, budgets, at_least=found)
        if not is_told and await notes.put(whose, note_of(found)):
            log.warning(told, cell=self._cell.name, whose=whose, because=found.because)
        return True

    async def _pause(self) -> None:
        """Have the cell paused while the fleet's budget is spent, and no longer; a pause of somebody else is left alone."""
        note = self._stops.all.get(FLEET)
        pause = next((one for one in await read_pauses(self._cell.client, self._cell.keys) if one.scope == _CELL), None)
        if note is not None and pause is None:
            await self._cell.pause(_CELL, because=pause_of(note), by=NORTH_STAR)
        elif note is None and pause is not None and pause.by == NORTH_STAR:
            await resume_after_budget(self._cell)


def _goes_on(note: BudgetNote, budgets: Sequence[BudgetNow], *, at_least: BudgetNow | None = None) -> bool:
    """Whether the very budget of a note is in force, in the same day or month; with `at_least`, if that one does not last longer."""
    same = any(is_noted(note, one) for one in budgets)
    return same and (at_least is None or note.resets_ms >= at_least.resets_ms)
