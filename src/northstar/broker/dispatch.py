"""Keeping a cell moving: due times, and policy's candidates for every machine."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, TypeVar

from northstar.broker.planning import changed_candidates, open_fits
from northstar.domain.errors import NorthstarError
from northstar.policy.routing.alike import AlikeMachines
from northstar.policy.routing.ranking_terms import NO_TERMS
from northstar.policy.routing.ready_after import PatienceRule
from northstar.store.bells import Connected, Due, PlanDue, listen
from northstar.store.snapshots import CellReader
from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from northstar.broker.planning import ChoosesCandidates
    from northstar.policy.routing.ranking_terms import RankingTerms
    from northstar.policy.routing.snapshot import CellSnapshot
    from northstar.store.cell import Cell

Result = TypeVar("Result")

log = logger(__name__)

MACHINES_PER_CALL = 64
FITS_PER_CALL = 500
#: Plans are at least so far apart, however often the bell rings for one.
PLAN_APART_S = 0.05
#: Pairs of machine and lane, and of profile and class, that are judged in less time than a thread takes to begin.
FEW_PAIRS = 64
#: Pause after a call that was refused or not answered.
RETRY_S = 0.2


class Dispatcher:
    """Ticks a cell when something falls due and plans candidates. Several may run at once: what they do is idempotent.

    With its own work, what a lost bell can cost stays below a second.
    """

    def __init__(
        self,
        cell: Cell,
        *,
        new_nonce: Callable[[], str],
        rule: PatienceRule | None = None,
        terms: Callable[[], RankingTerms] = lambda: NO_TERMS,
        plan_every_s: float = 0.8,
        tick_at_least_every_s: float = 0.8,
        reader: CellReader | None = None,
        choose: ChoosesCandidates = changed_candidates,
    ) -> None:
        """`reader` may be shared with others that look at the cell; `choose` says what machines may take."""
        self._cell = cell
        self._reader = reader or CellReader(cell.client, cell.keys)
        self._machines = AlikeMachines()
        self._new_nonce = new_nonce
        self._rule = rule or PatienceRule()
        self._terms = terms
        self._choose = choose
        # What candidates in the cell are taken to be ranked by that were written before this dispatcher came.
        self._ranked_by = NO_TERMS
        self._plan_every_s = plan_every_s
        self._tick_every_s = tick_at_least_every_s
        self._due = asyncio.Event()
        self._plan_due = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled. A server that does not answer, or refuses, is asked again, with a line in the log."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listen(), name="dispatch-bells")
            tasks.create_task(self._tick_for_ever(), name="dispatch-tick")
            tasks.create_task(self._plan_for_ever(), name="dispatch-plan")

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        async for ring in listen(self._cell.client, self._cell.keys, ("tick",)):
            match ring:
                case Due(in_ms) if in_ms > 0:
                    loop.call_later(in_ms / 1000, self._due.set)
                case Due():
                    self._due.set()
                case PlanDue():
                    self._plan_due.set()
                case Connected():
                    self._due.set()
                    self._plan_due.set()
                case _:
                    pass

    async def _tick_for_ever(self) -> None:
        pause_s = 0.0
        while True:
            await _set_or_later(self._due, pause_s)
            try:
                pause_s = await self.tick()
            except NorthstarError as exc:
                log.warning("tick_failed", cell=self._cell.name, code=exc.code, error=str(exc))
                pause_s = min(RETRY_S, self._tick_every_s)

    async def tick(self) -> float:
        """Do what is due; gives in how many seconds to look again."""
        reply = await self._cell.tick(nonce=self._new_nonce())
        if reply.more:
            return 0.0
        return min(max((reply.next_due_ms - reply.now_ms) / 1000, 0.001), self._tick_every_s)

    async def _plan_for_ever(self) -> None:
        pause_s = 0.0
        while True:
            await _set_or_later(self._plan_due, pause_s)
            pause_s = self._plan_every_s
            try:
                await self.plan()
            except NorthstarError as exc:
                # Machines and lanes come and go while a plan is made; the next one sees them as they are.
                log.warning("plan_failed", cell=self._cell.name, code=exc.code, error=str(exc))
                pause_s = min(RETRY_S, self._plan_every_s)
            await asyncio.sleep(min(PLAN_APART_S, self._plan_every_s))

    async def plan(self) -> int:
        """Decide open fits and write candidates that differ from those in the cell; gives for how many machines."""
        # Compared with what is in the cell, not with what was written last: submissions add candidates, machines that
        # leave lose them, and other dispatchers write too. Read before the cell itself: a lane that a submission has placed
        # meanwhile is then in both, or looks like something to add; the other way round it would be taken away again.
        known, snapshot = await self._reader.candidates_and_snapshot()
        snapshot = await self._decided(snapshot)
        terms = self._terms()
        by_others = not terms.rank_as(self._ranked_by)
        if by_others:
            known = {}  # of waits alone it could not be seen that other machines are preferred by now: near users, or faster
        changed = await _aside(snapshot, lambda: self._choose(snapshot, known, self._rule, self._machines, terms))
        for first in range(0, len(changed), MACHINES_PER_CALL):
            await self._cell.set_candidates(changed[first : first + MACHINES_PER_CALL], nonce=self._new_nonce())
        if by_others:  # and not at every plan: what moves a little each time has moved far by and by
            self._ranked_by = terms
        return len(changed)

    async def _decided(self, snapshot: CellSnapshot) -> CellSnapshot:
        """The cell, once every pair of profile and class that was open is decided."""
        fits = await _aside(snapshot, lambda: open_fits(snapshot))
        if not fits:
            return snapshot
        for first in range(0, len(fits), FITS_PER_CALL):
            await self._cell.decide_fits(fits[first : first + FITS_PER_CALL])
        return await self._reader.snapshot()


async def _aside(snapshot: CellSnapshot, work: Callable[[], Result]) -> Result:
    """Do `work` on a cell in a thread, so that bells and ticks go on meanwhile; at once where that takes less than the thread."""
    pairs = len(snapshot.profiles) * len(snapshot.classes) + len(snapshot.fits)
    if pairs + len(snapshot.lanes) * max(1, len(snapshot.machines)) <= FEW_PAIRS:
        return work()
    return await asyncio.to_thread(work)


async def _set_or_later(event: asyncio.Event, pause_s: float) -> None:
    """Until the event is set, but no longer; then clear it."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(pause_s):
            await event.wait()
    event.clear()
