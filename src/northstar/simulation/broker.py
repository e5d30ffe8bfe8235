"""The deployed broker, step by step on a virtual clock: taking jobs in, planning, ticking, rerouting and learning.

The parts are those that `serve` puts together (`assembly.routing`, `assembly.broker`). Where `serve` gives each of them a task that waits,
a simulation calls the step itself when its time has come, and not at all where it would find everything as it left it.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final, cast

import msgspec

from northstar.assembly.routing import declare_places, parts_in_force
from northstar.broker.deployment import Deployer
from northstar.broker.dispatch import Dispatcher
from northstar.broker.durations import Durations
from northstar.broker.rerouting import Rerouter
from northstar.broker.submission import Submitter
from northstar.broker.terms_in_force import applied_tenants
from northstar.simulation.clock import in_ms
from northstar.simulation.finished_runs import RunsSeen
from northstar.simulation.outage import skipped_ms
from northstar.simulation.tenant_terms import check_terms
from northstar.store.snapshots import CellReader, read_at_once

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from northstar.assembly.routing import RoutingParts
    from northstar.broker.submission import Accepted
    from northstar.domain.jobs import JobRequest
    from northstar.policy.routing.snapshot import CellSnapshot
    from northstar.simulation.policy import FleetPolicy
    from northstar.simulation.server_line import ServerLine
    from northstar.simulation.settings import SimulationSettings
    from northstar.simulation.world import World
    from northstar.store.keys import CellKeys
    from northstar.store.messages import Candidate
    from northstar.store.valkey import ValkeyClient

#: Sets whose first score is when something falls due that somebody waits for, and when something may be forgotten.
_BY: Final = "simulation"
#: As many as one call of `declare` takes.
_WORDS_PER_CALL: Final = 500
_WAITED_FOR: Final = ("deadlines", "delayed", "wakes", "leases", "alive")
#: Of these, those whose time stands still while nobody could renew.
_ON_LEASE_TIME: Final = ("leases", "alive")


class _Skipped(msgspec.Struct, frozen=True):
    skipped_ms: int


class SharedReader(CellReader):
    """Reads the cell once for all who look at the same moment: as long as nothing was changed, it is as it was."""

    def __init__(self, line: ServerLine, keys: CellKeys) -> None:
        super().__init__(cast("ValkeyClient", line), keys)
        self._line = line
        self._snapshot: tuple[int, CellSnapshot] | None = None
        self._known: tuple[int, dict[str, frozenset[Candidate]]] | None = None
        self.looks = 0

    async def snapshot(self) -> CellSnapshot:
        """The cell now."""
        changes = self._line.changes
        if self._snapshot is None or self._snapshot[0] != changes:
            self.looks += 1
            self._snapshot = (changes, await super().snapshot())
        return self._snapshot[1]

    async def candidates(self) -> dict[str, frozenset[Candidate]]:
        """What each machine may take at present."""
        calls = self._line.calls
        if self._known is None or self._known[0] != calls:
            self._known = (calls, await super().candidates())
        return self._known[1]

    async def candidates_and_snapshot(self) -> tuple[dict[str, frozenset[Candidate]], CellSnapshot]:
        """Both, with one question where both are older than what was changed last."""
        calls, changes = self._line.calls, self._line.changes
        is_known = self._known is not None and self._known[0] == calls
        if is_known or (self._snapshot is not None and self._snapshot[0] == changes):
            return await self.candidates(), await self.snapshot()
        self.looks += 1
        known, snapshot = await super().candidates_and_snapshot()
        self._known, self._snapshot = (calls, known), (changes, snapshot)
        return known, snapshot


class BrokerOnClock:
    """Of one run. `elapsed_s` is the time that its steps took, the server's included."""

    def __init__(self, world: World, policy: FleetPolicy, settings: SimulationSettings) -> None:
        self._world = world
        self._policy = policy
        self._settings = settings
        self.runs = RunsSeen()
        self.elapsed_s = 0.0
        self.plans = 0
        self._planned_ms = -in_ms(settings.plan_every_s)
        self._planned = -1
        self._skipped_ms = 0

    async def open(self, words: Sequence[str], *, before_ranked: Callable[[], Awaitable[None]]) -> None:
        """Put the parts together, and declare where jobs may wait; `words` are those of machines that have been here or will be.

        `before_ranked` makes the plan that is due, if one is, before a submission that goes by an earlier ranking.
        """
        world, policy, settings = self._world, self._policy, self._settings
        cell, seconds = world.cell, world.clock.seconds
        self.durations = Durations(self.runs, every_s=settings.learn_every_s, past=0)
        if settings.tenants:
            check_terms(settings.tenants)
            await applied_tenants(cell).apply(settings.tenants, source="simulation", known=None, by="simulation")
        parts = await parts_in_force(
            cell,
            estimates=self.durations,
            pools=policy.pools or settings.pools,
            monotonic=seconds,
            fresh_s=math.inf,  # no bell is lost here
        )
        await declare_places(cell, parts, by=_BY)
        for first in range(0, len(words), _WORDS_PER_CALL):
            await cell.declare(words[first : first + _WORDS_PER_CALL], by=_BY)
        self.parts: RoutingParts = parts
        self.reader = SharedReader(world.line, cell.keys)
        self.submitter = Submitter(
            cell,
            new_id=world.new_id,
            monotonic=seconds,
            rule=settings.rule,
            view_s=settings.view_s,
            router=parts.router(),
            catalogue=parts.catalogue,
            reader=self.reader,
            place=policy.place,
            deploys=policy.orders_models,
            before_ranked=before_ranked,
        )
        self.dispatcher = Dispatcher(
            cell,
            new_nonce=world.new_id,
            rule=settings.rule,
            terms=parts.ranking_terms,
            reader=self.reader,
            choose=policy.choose,
        )
        self.rerouter = Rerouter(
            cell,
            parts.router(),
            new_nonce=world.new_id,
            rule=settings.rule,
            catalogue=parts.catalogue,
            deployer=Deployer(cell, new_id=world.new_id, monotonic=seconds) if policy.orders_models else None,
            every_s=settings.reroute_every_s,
            processor_s=seconds,
            reader=self.reader,
            place=policy.place,
        )

    async def submit(self, requests: Sequence[JobRequest]) -> list[Accepted]:
        """As a client's request, or several at one moment. Raises what `Submitter.submit_and_tell` raises."""
        with _Timed(self):
            accepted = await self.submitter.submit_and_tell(requests)
            # A look that began beside the submission is over at this moment too: nobody waits on this clock.
            await self.submitter.view.settled()
            return accepted

    @property
    def has_changed(self) -> bool:
        """Whether something that a plan goes by was changed since the last one."""
        return self._world.line.changes != self._planned

    def next_plan_ms(self, *, wanted: bool) -> int:
        """When the next plan may be made: soon where somebody asked for one, else when its time has come."""
        apart_ms = in_ms(self._settings.plan_apart_s if wanted else self._settings.plan_every_s)
        return max(self._world.clock.now_ms, self._planned_ms + apart_ms)

    async def plan(self) -> None:
        """What machines may take, by the cell as it is now."""
        with _Timed(self):
            self._planned_ms = self._world.clock.now_ms
            await self.dispatcher.plan()
            self.plans += 1
            self._planned = self._world.line.changes

    async def tick(self) -> None:
        """All that time alone has made due."""
        with _Timed(self):
            while await self.dispatcher.tick() == 0.0:
                pass

    async def reroute(self) -> int:
        """One round of looking again at jobs that wait; gives how many moved."""
        with _Timed(self):
            return await self.rerouter.step()

    async def learn(self) -> None:
        """Learn from the runs that have ended since."""
        with _Timed(self):
            while await self.durations.turn():
                pass

    async def next_due_ms(self) -> int | None:
        """When the cell next does something that somebody waits for, ms of the simulation."""
        keys, clock = self._world.cell.keys, self._world.clock
        commands = [("ZRANGE", keys[name], 0, 0, "WITHSCORES") for name in _WAITED_FOR]
        answers = await read_at_once(cast("ValkeyClient", self._world.line), list(commands))
        # Leases, and machines' words, run on a clock that stands still while the server is away.
        scores = [
            float(answer[0][1]) + (self._skipped_ms if name in _ON_LEASE_TIME else 0)
            for name, answer in zip(_WAITED_FOR, answers, strict=True)
            if answer
        ]
        if not scores:
            return None
        return max(clock.now_ms, int(min(scores)) - (clock.cell_ms - clock.now_ms))

    async def was_away(self, gap_ms: int) -> None:
        """The server was not there for so long; the cell is told, as one on a real clock sees by itself."""
        shift_ms = skipped_ms(gap_ms)
        if shift_ms:
            self._skipped_ms = (await self._world.cell.call("outage", {"gap_ms": shift_ms}, _Skipped)).skipped_ms


class _Timed:
    """What happens inside counts as the broker's."""

    def __init__(self, broker: BrokerOnClock) -> None:
        self._broker = broker
        self._began_s = 0.0

    def __enter__(self) -> None:
        self._began_s = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._broker.elapsed_s += time.perf_counter() - self._began_s
