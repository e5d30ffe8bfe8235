"""Keeping a cell moving: due times, and policy's candidates for every machine."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import structlog

from northstar.domain.errors import Unavailable
from northstar.policy.routing.candidates import candidates, undecided_fits
from northstar.policy.routing.ready_after import PatienceRule
from northstar.store.bells import Connected, Due, listen
from northstar.store.messages import Candidate, Fit
from northstar.store.snapshots import read_snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

    from northstar.store.cell import Cell

log = structlog.get_logger(__name__)

MACHINES_PER_CALL = 64
FITS_PER_CALL = 500


class Dispatcher:
    """Ticks a cell when something falls due and plans candidates. Several may run at once: what they do is idempotent."""

    def __init__(
        self,
        cell: Cell,
        *,
        new_nonce: Callable[[], str],
        rule: PatienceRule | None = None,
        plan_every_s: float = 1.0,
        tick_at_least_every_s: float = 1.0,
    ) -> None:
        self._cell = cell
        self._new_nonce = new_nonce
        self._rule = rule or PatienceRule()
        self._plan_every_s = plan_every_s
        self._tick_every_s = tick_at_least_every_s
        self._due = asyncio.Event()
        self._written: dict[str, list[Candidate]] = {}

    async def run(self) -> None:
        """Until cancelled. A server that does not answer is waited for, with a line in the log."""
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
                case Due() | Connected():
                    self._due.set()
                case _:
                    pass

    async def _tick_for_ever(self) -> None:
        pause_s = 0.0
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._due.wait()
            self._due.clear()
            try:
                pause_s = await self.tick()
            except Unavailable as exc:
                log.warning("tick_failed", cell=self._cell.name, code=exc.code, error=str(exc))
                pause_s = self._tick_every_s

    async def tick(self) -> float:
        """Do what is due; gives in how many seconds to look again."""
        reply = await self._cell.tick(nonce=self._new_nonce())
        if reply.more:
            return 0.0
        return min(max((reply.next_due_ms - reply.now_ms) / 1000, 0.001), self._tick_every_s)

    async def _plan_for_ever(self) -> None:
        while True:
            try:
                await self.plan()
            except Unavailable as exc:
                log.warning("plan_failed", cell=self._cell.name, code=exc.code, error=str(exc))
            await asyncio.sleep(self._plan_every_s)

    async def plan(self) -> int:
        """Decide open fits and write candidates that changed; gives for how many machines."""
        snapshot = await read_snapshot(self._cell.client, self._cell.keys)
        open_fits = [Fit(*fit) for fit in undecided_fits(snapshot)]
        for first in range(0, len(open_fits), FITS_PER_CALL):
            await self._cell.decide_fits(open_fits[first : first + FITS_PER_CALL])
        if open_fits:
            snapshot = await read_snapshot(self._cell.client, self._cell.keys)
        changed: list[tuple[str, list[Candidate]]] = []
        for machine in snapshot.machines.values():
            wanted = [
                Candidate(c.subject, c.ready_after_ms, c.preference) for c in candidates(machine, snapshot, self._rule)
            ]
            if self._written.get(machine.id) != wanted:
                changed.append((machine.id, wanted))
        for first in range(0, len(changed), MACHINES_PER_CALL):
            await self._cell.set_candidates(changed[first : first + MACHINES_PER_CALL], nonce=self._new_nonce())
        self._written = {m: w for m, w in self._written.items() if m in snapshot.machines} | dict(changed)
        return len(changed)
