"""A plan from its beginning to its end: what the jobs ask for, the cheapest fleet for it, and the uniform fleet beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, NamedTuple

import msgspec

from northstar.domain.pools import Pools
from northstar.evaluation.planning.demand import Demand, demands
from northstar.evaluation.planning.errors import GoalImpossible, NoMachineFits
from northstar.evaluation.planning.fleet_search import FleetSearch, SizedPart
from northstar.evaluation.planning.found import FleetFound, Plan, saving
from northstar.evaluation.planning.goals import Goal
from northstar.evaluation.planning.judge import Aim
from northstar.evaluation.planning.machines import Machine, fleet_name
from northstar.evaluation.planning.parts import PlanPart, fitting
from northstar.evaluation.planning.trials import NORTH_STAR, UNIFORM, Manned, TrialLine, Trials
from northstar.simulation.fleet.plan import BakedFile
from northstar.simulation.inputs import SimulatedJob
from northstar.simulation.outcome import JobOutcome

_Count = Annotated[int, msgspec.Meta(ge=1)]


class PlanTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan is bound by."""

    goals: tuple[Goal, ...]
    seeds: Annotated[tuple[int, ...], msgspec.Meta(min_length=1)]
    #: Machines of a part, and of the uniform fleet, at most.
    most: _Count
    #: Trials of each search at most.
    trials: _Count
    usd_per_gb_month: float
    pools: Pools
    load: float = 1.0
    beside_uniform: bool = True


class Work(NamedTuple):
    """The workload, by seed."""

    jobs: Callable[[int], Iterator[SimulatedJob]]
    from_ms: int
    until_ms: int | None


class Planner:
    """Of one plan."""

    def __init__(self, parts: Sequence[PlanPart], work: Work, trials: Trials, terms: PlanTerms) -> None:
        """`parts` are those that there may be; those for which there is no work are left out."""
        self._may_be = list(parts)
        self._work = work
        self._trials = trials
        self._terms = terms
        self._judged: dict[int, int] = {}
        self._wanted: TrialLine | None = None

    async def plan(self) -> Plan:
        """Find it.

        Raises:
            GoalImpossible: no number of machines meets a goal. NoMachineFits: there is work that none of the machines can do.
            What `ScenarioRuns` does.
        """
        seed = self._terms.seeds[0]
        (whole,) = self._demands([frozenset()], seed)
        self._judged[seed] = whole.jobs
        self._check(whole, [goal for goal in self._terms.goals if not goal.pool])
        parts = [self._may_be[0]]
        if parts[0].pools:
            parts = await self._parts_with_work(whole)
        circles = [frozenset(part.pools) for part in parts]
        asked = self._demands(circles, seed)
        parts = [fitting(part, demand) for part, demand in zip(parts, asked, strict=True)]
        aims = self._aims(parts)
        for aim, demand in zip(aims, self._demands([aim.pools for aim in aims], seed), strict=True):
            self._check(demand, [aim.goal])
        fleet = await self._own(parts, asked, aims)
        uniform = await self._uniform(parts, asked, whole, aims) if self._terms.beside_uniform else None
        return Plan(
            goals=tuple(str(goal) for goal in self._terms.goals),
            load=self._terms.load,
            jobs=whole.all_jobs,
            judged_jobs=whole.jobs,
            unserved={} if self._wanted is None else self._wanted.unserved,
            fleet=fleet,
            uniform=uniform,
            saving=saving(fleet, uniform),
            simulations=self._trials.made,
            remembered=self._trials.remembered,
        )

    # What is asked for ------------------------------------------------------------------------------------------------

    def _demands(self, circles: Sequence[frozenset[str]], seed: int) -> list[Demand]:
        return demands(
            self._work.jobs(seed),
            circles,
            self._pool_by_number,
            from_ms=self._work.from_ms,
            until_ms=self._work.until_ms,
        )

    def _pool_by_number(self, number: int) -> str:
        line = self._wanted
        if line is None or number > len(line.wanted):
            return ""
        return line.pools[line.wanted[number - 1]]

    def _jobs(self, seed: int) -> int:
        """How many jobs of the window there are with a seed."""
        if seed not in self._judged:
            until_ms = self._work.until_ms
            self._judged[seed] = sum(
                job.at_ms >= self._work.from_ms and (until_ms is None or job.at_ms < until_ms)
                for job in self._work.jobs(seed)
            )
        return self._judged[seed]

    async def _parts_with_work(self, whole: Demand) -> list[PlanPart]:
        """Look, with many machines in each pool, which pools the broker wants jobs in."""
        terms = self._terms
        looked = [
            Manned(
                machine := max(part.machines, key=lambda one: one.kind.disk_gb),
                min(self._most(part), whole.guess(terms.goals, slots=machine.kind.slots)),
            )
            for part in self._may_be
        ]
        self._wanted = await self._trials.look(looked, seed=terms.seeds[0])
        wanted = self._wanted.wanted_pools
        parts = [part for part in self._may_be if wanted & set(part.pools)]
        served = {pool for part in parts for pool in part.pools}
        for goal in terms.goals:
            if goal.pool and goal.pool not in served:
                raise GoalImpossible(str(goal), f"no job is wanted in {goal.pool}, only in {', '.join(sorted(wanted))}")
        if not parts:
            raise NoMachineFits(
                "any of the work", f"jobs are wanted in {', '.join(sorted(wanted))}, and no machine may enter these"
            )
        return parts

    def _shared(self, parts: Sequence[PlanPart]) -> list[PlanPart]:
        return [part for part in parts if not self._is_kept(part)] or list(parts)

    def _is_kept(self, part: PlanPart) -> bool:
        """Whether its machines do nobody else's work."""
        return bool(part.pools) and all(self._terms.pools.is_exclusive(pool) for pool in part.pools)

    def _most(self, part: PlanPart) -> int:
        return min(self._terms.most, part.most(self._terms.pools))

    def _aims(self, parts: Sequence[PlanPart]) -> list[Aim]:
        """Each goal for each pool in which jobs are wanted, or for all jobs where pools are switched off."""
        if self._wanted is None:
            return [Aim(at, goal, frozenset()) for at in range(len(parts)) for goal in self._terms.goals]
        wanted = self._wanted.wanted_pools
        return [
            Aim(at, goal, frozenset({pool}))
            for at, part in enumerate(parts)
            for pool in part.pools
            for goal in self._terms.goals
            if pool in wanted and goal.pool in {"", pool}
        ]

    def _check(self, demand: Demand, goals: Sequence[Goal]) -> None:
        for goal in goals:
            possible = demand.possible(goal)
            if possible < goal.share:
                raise GoalImpossible(
                    str(goal),
                    f"the work alone of {1 - possible:.1%} of these jobs takes as long or longer, so at most {possible:.1%} can meet it; "
                    "ask for a longer time or a smaller share, or take faster GPUs",
                )

    def _big_enough(self, parts: Sequence[PlanPart], whole: Demand) -> PlanPart:
        """One kind of machine that does every job and holds every model: of each GPU the cheapest, to choose one of."""
        machines = [one for part in parts for one in part.machines]
        # What no machine of a part has less of is needed there; parts that are kept for some keep machines of their own.
        vram_gb = max(min(one.kind.vram_gb for one in part.machines) for part in self._shared(parts))
        able = [one for one in machines if one.kind.vram_gb >= max(vram_gb, whole.vram_mb / 1_000)] or machines
        image = [BakedFile(name=file.name, kind=file.kind, gb=file.size_bytes / 1e9) for file in whole.files()]
        regions = {one.kind.region for one in able}
        region = regions.pop() if len(regions) == 1 else ""
        cheapest: dict[tuple[str, int], Machine] = {}
        for one in sorted(able, key=lambda one: one.bare_usd_per_hour):
            cheapest.setdefault((one.kind.gpu, one.kind.slots), one)
        found = []
        for bare in cheapest.values():
            kind = msgspec.structs.replace(bare.kind, services=tuple(sorted(whole.services)), region=region)
            slots = f"{kind.slots}-slots" if kind.slots > 1 else ""
            machine = msgspec.structs.replace(bare, name=fleet_name("uniform", region, kind.gpu, slots), kind=kind)
            found.append(machine.holding(image, usd_per_gb_month=self._terms.usd_per_gb_month))
        return PlanPart(name=f"uniform@{region}" if region else "uniform", pools=(), machines=tuple(found))

    # The searches -----------------------------------------------------------------------------------------------------

    async def _own(self, parts: Sequence[PlanPart], asked: Sequence[Demand], aims: Sequence[Aim]) -> FleetFound:
        sized = [SizedPart(part, demand, self._most(part)) for part, demand in zip(parts, asked, strict=True)]
        search = FleetSearch(
            sized,
            aims,
            self._trials,
            policy=NORTH_STAR,
            seeds=self._terms.seeds,
            pool_of=_by_itself,
            jobs_with=self._jobs,
        )
        return await search.find(trials=self._terms.trials)

    async def _uniform(
        self, parts: Sequence[PlanPart], asked: Sequence[Demand], whole: Demand, aims: Sequence[Aim]
    ) -> FleetFound:
        """With the first seed alone, which can only make it smaller; as North Star's look knows which pools are wanted.

        Machines that are kept for some (the Enterprise pool) are kept for them here too, since what was agreed holds without pools.
        """
        sized = [SizedPart(self._big_enough(parts, whole), whole, self._terms.most)]
        places = [0] * len(parts)
        for at, (part, demand) in enumerate(zip(parts, asked, strict=True)):
            if self._is_kept(part):
                places[at] = len(sized)
                sized.append(SizedPart(part, demand, self._most(part)))
        search = FleetSearch(
            sized,
            [Aim(places[aim.part], aim.goal, aim.pools) for aim in aims],
            self._trials,
            policy=UNIFORM,
            seeds=self._terms.seeds[:1],
            pool_of=lambda job: self._pool_by_number(job.number),
            jobs_with=self._jobs,
        )
        return await search.find(trials=self._terms.trials)


def _by_itself(job: JobOutcome) -> str:
    return job.optimal
