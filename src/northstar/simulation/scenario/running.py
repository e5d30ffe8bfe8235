"""Running a scenario: what each seed makes of it, and one run after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from northstar.domain.pools import Pools
from northstar.policy.routing.ready_after import PatienceRule
from northstar.simulation.engine import Progress
from northstar.simulation.fleet.errors import PlanImpossible
from northstar.simulation.fleet.plan import FleetPlan
from northstar.simulation.fleet.timeline import Timeline, timeline
from northstar.simulation.inputs import SimulatedJob, SimulatedMachine
from northstar.simulation.outcome import JobOutcome
from northstar.simulation.scenario.checks import check_jobs
from northstar.simulation.scenario.jobs import jobs_of
from northstar.simulation.scenario.policies import compared
from northstar.simulation.scenario.progress import Tally
from northstar.simulation.scenario.reading import ReadScenario
from northstar.simulation.scenario.results import RunResult, result_of
from northstar.simulation.scenario.run_file import RunKey
from northstar.simulation.scenario.survey import Survey, Surveyor
from northstar.simulation.settings import SimulationSettings
from northstar.simulation.simulate import Simulated, run
from northstar.simulation.watching import Watch
from northstar.simulation.workload.service_days import last_days

#: After the last job has come, machines go on coming and going for so long; what has not ended by then waits for nothing any more.
AFTER_MS: Final = 2 * 86_400_000
#: Jobs between two looks whether somebody wants to stop.
_LOOK_EVERY: Final = 2_000


class Prepared(NamedTuple):
    """A scenario with one seed, ready to run under any policy."""

    seed: int
    survey: Survey
    fleet: Timeline
    from_ms: int
    until_ms: int | None


class ScenarioRuns:
    """All runs of a scenario. What does not differ between policies is made once for each seed."""

    def __init__(self, read: ReadScenario) -> None:
        """Raises InvalidPools, NoSuchPrice, and what `cloud_prices` does: files that it names."""
        self._read = read
        self._prices = read.prices()
        self._pools = read.pools()
        self._settings = _settings(read, self._pools)
        self._prepared: Prepared | None = None
        #: Of each seed whose jobs were looked at.
        self._surveys: dict[int, Survey] = {}

    def of_fleet(self, fleet: FleetPlan, *, is_uniform: bool = False) -> ScenarioRuns:
        """The same with other machines, perhaps with pools switched off; jobs that were looked at once are not looked at again.

        Raises:
            PlanImpossible: the pools do not take such machines.
        """
        found = ScenarioRuns(self._read.of_fleet(fleet, is_uniform=is_uniform))
        found._surveys = self._surveys
        return found

    def keys(self) -> Iterator[RunKey]:
        """Every run, in the order in which they are made."""
        scenario = self._read.scenario
        for seed in scenario.seeds:
            for policy in scenario.policies:
                yield RunKey(seed, policy)

    async def prepare(self, seed: int) -> Prepared:
        """Look at all jobs of a seed, and make its fleet.

        Raises:
            PlanImpossible: jobs ask for what no machine has, or the window or a fault lies outside of the simulation.
            What readers of traces do: a trace is wrong.
        """
        if self._prepared is not None and self._prepared.seed == seed:
            return self._prepared
        read, scenario = self._read, self._read.scenario
        survey = self._surveys.get(seed)
        if survey is None:
            survey = self._surveys[seed] = await self._survey(seed)
        with read.places():
            if not survey.jobs:
                raise PlanImpossible("has no job to simulate", path="workload")
            check_jobs(scenario.fleet, survey)
            from_ms, until_ms = self._window(survey)
            fleet = timeline(
                scenario.fleet,
                scenario.faults,
                seed=seed,
                end_ms=survey.last_ms + 1,
                comes_until_ms=survey.last_ms + AFTER_MS,
                folder=read.folder,
                prices=self._prices,
            )
        self._prepared = Prepared(seed, survey, fleet, from_ms, until_ms)
        return self._prepared

    async def _survey(self, seed: int) -> Survey:
        seen = Surveyor()
        for job in self.jobs(seed):
            seen.see(job)
            if seen.jobs % _LOOK_EVERY == 0:
                await asyncio.sleep(0)
        return seen.survey()

    async def run(
        self, key: RunKey, *, tally: Tally, progress: Callable[[Progress], None] = lambda _: None
    ) -> RunResult:
        """Make one run; `tally` is told of each job as it ends. Raises as `prepare`, and what the engine does."""
        prepared = await self.prepare(key.seed)
        simulated = await self.simulate(key, hears=tally.add, progress=progress)
        return result_of(simulated.outcome, tally, prepared.fleet, from_ms=prepared.from_ms, until_ms=prepared.until_ms)

    async def simulate(
        self,
        key: RunKey,
        *,
        fleet: Sequence[SimulatedMachine] | None = None,
        hears: Callable[[JobOutcome], None] | None = None,
        progress: Callable[[Progress], None] = lambda _: None,
        watch: Watch | None = None,
    ) -> Simulated:
        """Make one run, and give all that came of it: `simulation.simulate.run` tells the rest.

        `fleet` are the prepared machines, changed by whoever wants others. Raises as `prepare`, and what the engine does.
        """
        prepared = await self.prepare(key.seed)
        policy, coming = compared(key.policy, lambda: self.jobs(key.seed), seed=key.seed, pools=self._pools)
        return await run(
            coming,
            prepared.fleet.machines if fleet is None else fleet,
            policy,
            self._settings,
            seed=key.seed,
            faults=prepared.fleet.faults,
            scaling=prepared.fleet.scaled,
            hears=hears,
            progress=progress,
            watch=watch,
        )

    def jobs(self, seed: int) -> Iterator[SimulatedJob]:
        """The workload of a seed, from its beginning. Raises what the readers of its traces do."""
        return jobs_of(self._read.scenario.workload, seed=seed, folder=self._read.folder)

    def _window(self, survey: Survey) -> tuple[int, int | None]:
        """Which jobs are counted, by when they come. Raises PlanImpossible: there are none such."""
        scenario = self._read.scenario
        window, faster = scenario.window, scenario.workload.faster
        if window.last_days is not None:
            try:
                found = last_days(round(survey.last_ms * faster), window.last_days).faster(faster)
            except ValueError as exc:
                raise PlanImpossible(f"is {window.last_days}: {exc}", path="window.last_days") from exc
            return found.from_ms, found.until_ms
        if window.begins.ms > survey.last_ms:
            raise PlanImpossible(f"is {window.begins}, after the last job has come", path="window.from")
        return window.begins.ms, None if window.until is None else window.until.ms


def _settings(read: ReadScenario, pools: Pools) -> SimulationSettings:
    plan = read.scenario.settings
    return msgspec.structs.replace(
        SimulationSettings(),
        pools=pools,
        tenants=read.tenants(),
        rule=PatienceRule(cap_ms=plan.patience.cap.ms, share=plan.patience.share),
        parallel_fetches=plan.parallel_fetches,
    )
