"""The cheapest fleet under a policy: the search, with trials as its answers, and what is told of the fleet that it finds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, NamedTuple

import msgspec

from northstar.evaluation.planning.demand import Demand
from northstar.evaluation.planning.found import FleetFound, PartPlan, Reached
from northstar.evaluation.planning.judge import Aim
from northstar.evaluation.planning.limits import one_fewer, why_missed, worst
from northstar.evaluation.planning.machines import Machine
from northstar.evaluation.planning.parts import PlanPart
from northstar.evaluation.planning.trials import Manned, TrialLine, Trials
from northstar.policy.fleet.cheapest_fleet import Fleet, Found, Search, Trial, cheapest_fleet
from northstar.policy.fleet.part_sizing import Choice, Part, Verdict
from northstar.simulation.outcome import JobOutcome

_Count = Annotated[int, msgspec.Meta(ge=1)]


class SizedPart(NamedTuple):
    """A part, what its jobs ask for, and how many machines it may have."""

    part: PlanPart
    demand: Demand
    most: int


class FleetSearch:
    """Of one policy."""

    def __init__(
        self,
        sized: Sequence[SizedPart],
        aims: Sequence[Aim],
        trials: Trials,
        *,
        policy: str,
        seeds: Sequence[int],
        pool_of: Callable[[JobOutcome], str],
        jobs_with: Callable[[int], int],
    ) -> None:
        """Judge by `aims`; `pool_of` says which pool a job is wanted in, `jobs_with` how many jobs are judged with a seed."""
        self._sized = sized
        self._parts = [one.part for one in sized]
        self._aims = aims
        self._trials = trials
        self._policy = policy
        self._seeds = tuple(seeds)
        self._pool_of = pool_of
        self._jobs_with = jobs_with

    async def find(self, *, trials: int) -> FleetFound:
        """Search with at most so many trials, those included that were known. Raises what `ScenarioRuns` does."""
        steps = cheapest_fleet(
            [self._part(at) for at in range(len(self._parts))],
            Search(most=max(one.most for one in self._sized), seeds=len(self._seeds), trials=trials),
        )
        try:
            trial = next(steps)
            while True:
                line = await self._try(trial)
                trial = steps.send([_verdict(line, part.name) for part in self._parts])
        except StopIteration as stop:
            found: Found = stop.value
        everything = tuple(range(len(self._parts)))
        lines = [await self._try(Trial(found.fleet, at, everything, "end")) for at in range(len(self._seeds))]
        plans = tuple(self._told(at, found.fleet, lines) for at in everything)
        return FleetFound(
            policy=self._policy,
            parts=plans,
            usd_per_hour=round(sum(plan.usd_per_hour for plan in plans), 6),
            is_met=all(plan.is_met for plan in plans),
            is_whole=found.is_whole,
            seeds=self._seeds,
        )

    def _part(self, at: int) -> Part:
        part, demand, most = self._sized[at]
        goals = [aim.goal for aim in self._aims if aim.part == at]
        return Part(
            name=part.name,
            most=most,
            choices=tuple(
                Choice(
                    name=machine.name,
                    usd_per_hour=machine.usd_per_hour,
                    least=self._least(at, machine),
                    guess=demand.guess(goals, slots=machine.kind.slots),
                )
                for machine in part.machines
            ),
        )

    def _least(self, at: int, machine: Machine) -> int:
        goals = [aim.goal for aim in self._aims if aim.part == at]
        return self._sized[at].demand.least(goals, slots=machine.kind.slots)

    async def _try(self, trial: Trial) -> TrialLine:
        seed = self._seeds[trial.seed]
        return await self._trials.make(
            self._manned(trial.fleet),
            policy=self._policy,
            seed=seed,
            aims=self._aims,
            parts=[part.name for part in self._parts],
            pool_of=self._pool_of,
            jobs=self._jobs_with(seed),
            asked=trial.asked,
            until=trial.until,
        )

    def _manned(self, fleet: Fleet) -> list[Manned]:
        return [
            Manned(part.machines[seat.choice], seat.machines) for part, seat in zip(self._parts, fleet, strict=True)
        ]

    def _told(self, at: int, fleet: Fleet, lines: Sequence[TrialLine]) -> PartPlan:
        part, (machine, number), line = self._parts[at], self._manned(fleet)[at], lines[0]
        goals = []
        for aim in (aim for aim in self._aims if aim.part == at):
            goal, pools = str(aim.goal), aim.pools_said
            judged = worst(lines, part.name, goal, pools)
            assert judged is not None  # noqa: S101 -- these were made to their end
            goals.append(Reached(goal=goal, pools=pools, jobs=judged.jobs, share=judged.share, met=judged.met is True))
        if all(goal.met for goal in goals):
            limit = one_fewer(self._trials.done(), line, at, part.name)
            if not limit and number <= self._least(at, machine):
                limit = f"{number - 1} would not have the time for the work alone"
        else:
            least = min(lines, key=lambda one: _verdict(one, part.name).margin)
            limit = why_missed(least, part.name, count=number, most=self._sized[at].most)
        return PartPlan(
            part=part.name,
            pools=part.pools,
            machines=number,
            machine=machine.name,
            gpu=machine.kind.gpu,
            vram_gb=machine.kind.vram_gb,
            disk_gb=machine.kind.disk_gb,
            region=(machine.group.region if machine.group else "") or machine.kind.region,
            usd_per_hour=round(number * machine.usd_per_hour, 6),
            goals=tuple(goals),
            utilisation=_utilisation(line, machine, is_alone=len(self._parts) == 1),
            limit=limit,
        )


def _verdict(line: TrialLine, part: str) -> Verdict:
    """Of a part: as its worst goal."""
    mine = [one for one in line.judged if one.part == part]
    met: bool | None = True
    if any(one.met is False for one in mine):
        met = False
    elif any(one.met is None for one in mine):
        met = None
    return Verdict(met, min((one.margin for one in mine), default=0.0))


def _utilisation(line: TrialLine, machine: Machine, *, is_alone: bool) -> float | None:
    if line.result is None:
        return None
    pools = set(line.result.use) if is_alone else set(machine.kind.pools)
    use = [used for pool, used in line.result.use.items() if pool in pools]
    paid = sum(one.paid_s for one in use)
    return sum(one.busy_s for one in use) / paid if paid else None
