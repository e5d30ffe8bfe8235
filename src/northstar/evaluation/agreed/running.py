"""Running scenarios so that they can be measured: one run after the other, each kept in numbers and then forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from northstar.config.tenants import read_tenants_text
from northstar.domain.tenancy import Tenants
from northstar.evaluation.agreed.judging import beside_of, figures_of, judged
from northstar.evaluation.agreed.plan import EvaluationPlan
from northstar.evaluation.caching_frame import caching_frame
from northstar.evaluation.duration_replay import replayed
from northstar.evaluation.run_figures import summary_of
from northstar.evaluation.run_watch import DemandAhead, RunWatch
from northstar.evaluation.simulated_runs import run_of
from northstar.evaluation.true_pools import TruePools
from northstar.evaluation.whole_disks import with_every_model
from northstar.simulation.scenario.progress import Tally
from northstar.simulation.scenario.run_file import RunKey
from northstar.simulation.scenario.running import ScenarioRuns
from northstar.simulation.scenario.workload_plan import GenTd26
from northstar.simulation.workload.service_days import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from northstar.evaluation.agreed.judging import Judged
    from northstar.evaluation.run_figures import RunSummary
    from northstar.simulation.engine import Progress
    from northstar.simulation.outcome import JobOutcome, Outcome
    from northstar.simulation.scenario.reading import ReadScenario
    from northstar.simulation.scenario.running import Prepared

#: What machines hold is looked at once an hour of the workload, and at least so often in a window.
_HOUR_MS: Final = 3_600_000
_LEAST_LOOKS: Final = 24
#: Service days at the end of a trace on which estimates are judged where the window says no number of days.
_DAYS: Final = 5


class Hearer(Protocol):
    """Hears how runs go."""

    def prepares(self, key: RunKey, scenario: str) -> None:
        """This run is next: its jobs are looked at."""

    def begins(self, jobs: int, tally: Tally) -> None:
        """It begins, with so many jobs; `tally` counts those that have ended."""

    def goes(self, progress: Progress) -> None:
        """It is so far."""

    def ends(self, summary: RunSummary) -> None:
        """It is over."""


class Nobody:
    """Hears nothing."""

    def prepares(self, key: RunKey, scenario: str) -> None:
        """Nothing."""

    def begins(self, jobs: int, tally: Tally) -> None:
        """Nothing."""

    def goes(self, progress: Progress) -> None:
        """Nothing."""

    def ends(self, summary: RunSummary) -> None:
        """Nothing."""


async def run_scenario(
    read: ReadScenario,
    *,
    name: str = "",
    plan: EvaluationPlan | None = None,
    seeds: Sequence[int] | None = None,
    policies: Sequence[str] | None = None,
    made: Collection[RunSummary] = (),
    hearer: Hearer | None = None,
) -> list[RunSummary]:
    """Make the runs of a scenario, and measure each.

    Args:
        read: the scenario; of an agreed one `read`, beside its `name` and its `plan` (`evaluation.agreed.reading.Agreed`).
        name: what its runs say whose they are.
        plan: what is worked out beside what every run tells.
        seeds: in place of the scenario's own.
        policies: in place of the scenario's own; names of `simulation.scenario.policies.POLICIES`.
        made: runs that were made before: those of this name are taken as they are.
        hearer: hears how it goes, and of each run as soon as it is over.

    Returns:
        A summary for each seed and policy, by seed and then by policy.

    Raises:
        What `ScenarioRuns` raises: files that it names, jobs that no machine can run, traces that are wrong. NothingToMeasure: no job in its window.
    """
    plan, hear = plan or EvaluationPlan(), hearer or Nobody()
    known = {(run.seed, run.policy): run for run in made if run.scenario == name}
    found: list[RunSummary] = []
    for seed in dict.fromkeys(read.scenario.seeds if seeds is None else seeds):
        of_seed = read.with_sizes(seed) if plan.sizes_by_seed else read
        runs: ScenarioRuns | None = None
        for policy in read.scenario.policies if policies is None else policies:
            summary = known.get((seed, policy))
            if summary is None:
                runs = runs or ScenarioRuns(of_seed)
                key = RunKey(seed, policy)
                hear.prepares(key, name)
                made_now = await _Measured(of_seed, runs, await runs.prepare(seed), plan=plan).run(key, hear)
                summary = msgspec.structs.replace(made_now, scenario=name)
                hear.ends(summary)
            found.append(summary)
    return found


class _Measured:
    """A run that is measured."""

    def __init__(self, read: ReadScenario, runs: ScenarioRuns, prepared: Prepared, *, plan: EvaluationPlan) -> None:
        self._read = read
        self._runs = runs
        self._prepared = prepared
        self._plan = plan
        survey = prepared.survey
        machines = prepared.fleet.machines
        self._machines = with_every_model(machines, runs.jobs(prepared.seed)) if plan.every_model else machines
        self._from_ms = prepared.from_ms
        self._until_ms = survey.last_ms + 1 if prepared.until_ms is None else prepared.until_ms

    async def run(self, key: RunKey, hear: Hearer) -> RunSummary:
        """Make it."""
        prepared, faster = self._prepared, self._read.scenario.workload.faster
        tally = Tally(from_ms=self._from_ms, until_ms=self._until_ms)
        hear.begins(prepared.survey.jobs, tally)
        watch = RunWatch(
            DemandAhead(self._runs.jobs(key.seed), ahead_ms=round(DAY_MS / faster)),
            every_ms=max(1, min(round(_HOUR_MS / faster), (self._until_ms - self._from_ms) // _LEAST_LOOKS)),
            from_ms=self._from_ms,
            until_ms=self._until_ms,
        )
        ends: list[JobOutcome] = []

        def hears(job: JobOutcome) -> None:
            tally.add(job)
            ends.append(job)

        simulated = await self._runs.simulate(key, fleet=self._machines, hears=hears, progress=hear.goes, watch=watch)
        outcome = msgspec.structs.replace(simulated.outcome, policy=key.policy, jobs=tuple(ends))
        return self._summary(outcome, watch)

    def _summary(self, outcome: Outcome, watch: RunWatch) -> RunSummary:
        machines = self._machines
        jobs = judged(
            outcome,
            self._runs.jobs(outcome.seed),
            machines,
            from_ms=self._from_ms,
            until_ms=self._until_ms,
            pools=TruePools(self._read.pools(), _tenants(self._read)),
            admitted=watch.admitted,
        )
        whole = run_of(
            outcome,
            machines,
            from_ms=self._from_ms,
            until_ms=self._until_ms,
            failing={number for number, job in jobs.items() if job.fails},
            optimal=lambda job: _optimal(jobs, job),
        )
        found = summary_of(whole)
        beside = beside_of(jobs)
        if self._plan.caching_frame:
            beside |= self._frame(outcome)
        figures = {
            **found.figures,
            **figures_of(jobs),
            **watch.figures(),
            "machines-simulated": float(
                sum(bool(machine.lives) for machine in machines) + len({span.machine for span in outcome.scaled})
            ),
        }
        if self._plan.replays_durations and outcome.policy == self._read.scenario.policies[0]:
            figures |= self._durations()
        return msgspec.structs.replace(found, figures=figures, beside=beside)

    def _durations(self) -> dict[str, float]:
        """Nothing where the scenario names no such trace."""
        scenario = self._read.scenario
        traces = [source.trace for source in scenario.workload.sources if isinstance(source, GenTd26)]
        if not traces:
            return {}
        found = replayed(self._read.folder / traces[0], days=scenario.window.last_days or _DAYS)
        return {"duration-wape": found.wape, "duration-within-25": found.near}

    def _frame(self, outcome: Outcome) -> dict[str, float]:
        """Of the whole run, cold disks at its beginning included."""
        given, shared = caching_frame(outcome, self._runs.jobs(outcome.seed), self._machines)
        return {
            "redundant-gb": outcome.redundant_bytes / 1e9,
            "belady-gb": given.redundant_reached_bytes / 1e9,
            "belady-least-gb": given.redundant_least_bytes / 1e9,
            "one-disk-gb": shared.redundant_reached_bytes / 1e9,
        }


def _optimal(jobs: Mapping[int, Judged], job: JobOutcome) -> tuple[str, tuple[str, ...]]:
    found = jobs.get(job.number)
    return ("", ()) if found is None else (found.optimal, found.tolerated)


def _tenants(read: ReadScenario) -> Tenants:
    text = read.tenants()
    return read_tenants_text(text, source="tenants") if text else Tenants(tenants={})
