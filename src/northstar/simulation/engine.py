"""The loop: what is next on the agenda happens, what that rang is heard, and then, if nothing else is left at this moment, time passes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from northstar.simulation.broker import BrokerOnClock
from northstar.simulation.clock import in_ms
from northstar.simulation.errors import WorkloadUnsorted
from northstar.simulation.history import EventsRead
from northstar.simulation.ledger import Ledger
from northstar.simulation.scaling import Scaling
from northstar.simulation.server_outages import ServerOutages
from northstar.simulation.stations import Stations
from northstar.simulation.submissions import Submissions
from northstar.simulation.watching import Lookout
from northstar.store.bells import Connected, DocumentsChanged, Due, PlanDue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from northstar.simulation.agenda import Entry
    from northstar.simulation.inputs import AnyFault, SimulatedJob, SimulatedMachine
    from northstar.simulation.outcome import JobOutcome
    from northstar.simulation.policy import FleetPolicy
    from northstar.simulation.scaling import ScaledGroup
    from northstar.simulation.settings import SimulationSettings
    from northstar.simulation.watching import Watch
    from northstar.simulation.world import World

#: Entries between two reports of progress, and between two looks whether somebody wants to stop the simulation.
_REPORT_EVERY: Final = 500
#: After a machine came or went, waiting jobs are looked at again for so long.
_UNSETTLED_MS: Final = 60_000
#: Events are read at the latest after so many calls.
_CALLS_PER_READ: Final = 400


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a simulation is."""

    now_ms: int
    submitted: int
    ended: int
    waiting: int


class Engine:
    """One run."""

    def __init__(
        self,
        world: World,
        fleet: Sequence[SimulatedMachine],
        policy: FleetPolicy,
        settings: SimulationSettings,
        *,
        faults: Sequence[AnyFault] = (),
        scaling: Sequence[ScaledGroup] = (),
        hears: Callable[[JobOutcome], None],
        progress: Callable[[Progress], None] = lambda _: None,
        watch: Watch | None = None,
    ) -> None:
        self.world = world
        self._settings = settings
        self._progress = progress
        self.broker = BrokerOnClock(world, policy, settings)
        self.ledger = Ledger(world, self.broker.runs, hears)
        followers = {name for group in scaling for name in group.machines}
        self.stations = Stations(
            world, fleet, faults, policy=policy, settings=settings, ledger=self.ledger, scaled=followers
        )
        self._lookout = Lookout(watch, self.stations.held)
        self._submissions = Submissions(world, self.broker, self.ledger, self._lookout)
        self._outages = ServerOutages(world, faults, broker=self.broker, stations=self.stations)
        pools = policy.pools or settings.pools
        self._scaling = Scaling(
            world,
            scaling,
            stations=self.stations,
            ledger=self.ledger,
            by_pool=pools is None or pools.routing.mode != "uniform",
            settle=self._settle,
            may_come=lambda: self._next_job is not None,
        )
        self._events = EventsRead(world, self.ledger.hear)
        self._workload: Iterator[SimulatedJob] = iter(())
        self._next_job: SimulatedJob | None = None
        self._read = 0
        self._plan: Entry | None = None
        self._wants_plan = False
        self._tick: Entry | None = None
        self._reroute: Entry | None = None
        self._learn: Entry | None = None
        self._keep: Entry | None = None
        self._looked = -1
        self._read_calls = 0
        self._kept_calls = -1
        self._rerouted = -1

    async def run(self, workload: Iterable[SimulatedJob]) -> None:
        """Until all jobs have ended, nothing will happen any more, or the settings' end."""
        world, until_ms = self.world, self._settings.until_ms
        await self.broker.open(self.stations.words(), before_ranked=self._plan_if_due)
        self.stations.expect()
        self._outages.expect(settle=self._settle)
        self._scaling.expect()
        self._workload = iter(workload)
        self._expect_next_job()
        happened = 0
        while True:
            next_ms = world.agenda.next_ms()
            if next_ms is None or next_ms > world.clock.now_ms:
                await self._before_time_passes()
                next_ms = world.agenda.next_ms()
                if next_ms is None or self._is_over():
                    break
                if until_ms is not None and next_ms > until_ms:
                    self._lookout.time_passes(until_ms)
                    world.advance(until_ms)
                    break
                self._lookout.time_passes(next_ms)
                world.advance(next_ms)
            await world.agenda.take().happens()
            await self._hear()
            happened += 1
            if happened % _REPORT_EVERY == 0:
                self._tell()
                await asyncio.sleep(0)  # whoever wants to stop it is heard
        await self._outages.end()
        await self._events.read()
        self.stations.close()
        self.ledger.close()
        self._tell()

    def _is_over(self) -> bool:
        return self._next_job is None and not self.ledger.live

    def _tell(self) -> None:
        ledger = self.ledger
        ended = ledger.submitted - ledger.live
        self._progress(
            Progress(now_ms=self.world.clock.now_ms, submitted=ledger.submitted, ended=ended, waiting=ledger.waiting)
        )

    # Jobs come --------------------------------------------------------------------------------------------------------

    def _expect_next_job(self) -> None:
        before = self._next_job
        self._next_job = next(self._workload, None)
        if self._next_job is None:
            return
        self._read += 1
        if before is not None and self._next_job.at_ms < before.at_ms:
            raise WorkloadUnsorted(self._read, at_ms=self._next_job.at_ms, before_ms=before.at_ms)
        if before is None or self._next_job.at_ms > before.at_ms:
            self.world.agenda.at(max(self._next_job.at_ms, self.world.clock.now_ms), self._jobs_come)

    async def _jobs_come(self) -> None:
        """All that come at this moment, a batch at a time."""
        batch: list[SimulatedJob] = []
        at_ms = None if self._next_job is None else self._next_job.at_ms
        while self._next_job is not None and self._next_job.at_ms == at_ms:
            batch.append(self._next_job)
            self._expect_next_job()
            if len(batch) >= self._settings.batch:
                await self._submissions.submit(batch)
                batch = []
        if batch:
            await self._submissions.submit(batch)

    async def _settle(self) -> None:
        """What the server has told and rung is taken in, before it goes or somebody counts the queue."""
        await self._read_events()
        await self._hear()

    # What was rung ----------------------------------------------------------------------------------------------------

    async def _hear(self) -> None:
        while rings := self.world.line.heard():
            for ring in rings:
                match ring:
                    case PlanDue():
                        self._wants_plan = True
                    case Due():
                        pass  # looked up before time passes
                    case DocumentsChanged() | Connected():
                        self.broker.parts.hear(ring)
                    case _:
                        await self.stations.hear(ring)

    # Before time passes -----------------------------------------------------------------------------------------------

    async def _before_time_passes(self) -> None:
        """Put down what follows from this moment's changes."""
        if self.world.is_server_away:
            return
        line, now_ms = self.world.line, self.world.clock.now_ms
        if line.calls - self._read_calls >= _CALLS_PER_READ or (self._next_job is None and self.ledger.live):
            await self._read_events()
        if self._looked != line.changes and self._must_look_for_dues():
            self._looked = line.changes
            self._expect_tick(await self.broker.next_due_ms())
        if self._may_somebody_wait() and (self._wants_plan or self.broker.has_changed):
            at_ms = self.broker.next_plan_ms(wanted=self._wants_plan)
            if self._plan is None or at_ms < self._plan.at_ms:
                if self._plan is not None:
                    self._plan.strike()
                self._plan = self.world.agenda.at(at_ms, self._make_plan)
        if self._learn is None and self.ledger.has_run:
            self._learn = self.world.soon(self._learn_now, in_ms=in_ms(self._settings.learn_every_s))
        if self._reroute is None and self._may_reroute():
            self._reroute = self.world.soon(self._reroute_now, in_ms=in_ms(self._settings.reroute_every_s))
        if self._keep is None and self._kept_calls != line.calls:
            self._keep = self.world.agenda.at(now_ms + in_ms(self._settings.housekeeping_every_s), self._keep_house)

    def _may_somebody_wait(self) -> bool:
        """A job counts as running while its machine does, though the broker may have taken it from one that is silent."""
        return bool(self.ledger.waiting) or self.stations.are_doubtful

    def _must_look_for_dues(self) -> bool:
        return self._may_somebody_wait() or bool(self.ledger.dated)

    def _expect_tick(self, at_ms: int | None) -> None:
        if self._tick is not None:
            if at_ms == self._tick.at_ms:
                return
            self._tick.strike()
            self._tick = None
        if at_ms is not None:
            self._tick = self.world.agenda.at(at_ms, self._tick_now)

    async def _tick_now(self) -> None:
        self._tick = None
        if self.world.is_server_away:
            return
        await self.broker.tick()

    async def _plan_if_due(self) -> None:
        """While nobody waits a plan changes nothing that happens, but for a lane that goes by an earlier ranking at a submission."""
        changed = self._wants_plan or self.broker.has_changed
        if changed and self.broker.next_plan_ms(wanted=self._wants_plan) <= self.world.clock.now_ms:
            await self._make_plan()

    async def _make_plan(self) -> None:
        if self._plan is not None:
            self._plan.strike()
            self._plan = None
        if self.world.is_server_away:
            return
        self._wants_plan = False
        await self.broker.plan()

    def _may_reroute(self) -> bool:
        if not self.ledger.waiting or self._rerouted == self.world.line.changes:
            return False
        return self.ledger.restless > 0 or self.world.clock.now_ms - self.stations.moved_ms < _UNSETTLED_MS

    async def _reroute_now(self) -> None:
        self._reroute = None
        if self.world.is_server_away:
            return
        if await self.broker.reroute():
            await self._read_events()
        self._rerouted = self.world.line.changes

    async def _learn_now(self) -> None:
        self._learn = None
        if self.world.is_server_away:
            return
        await self._read_events()
        self.ledger.has_run = False
        await self.broker.learn()

    async def _keep_house(self) -> None:
        """Finished jobs and lanes without work are forgotten."""
        self._keep = None
        if self.world.is_server_away:
            return
        await self._read_events()
        await self._events.trim()
        await self.broker.tick()
        self._kept_calls = self.world.line.calls

    async def _read_events(self) -> None:
        await self._events.read()
        self._read_calls = self.world.line.calls
