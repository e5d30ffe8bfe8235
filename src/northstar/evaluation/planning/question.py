"""What is planned for: a trace of one's own with machines from a price table, or a scenario with its kinds of machines."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

import msgspec

from northstar.config.pools import load_pools, packaged_pools
from northstar.domain.amounts import counted
from northstar.domain.gpu_classes import NO_GPU
from northstar.domain.pools import Pools
from northstar.evaluation.planning.demand import Demand
from northstar.evaluation.planning.errors import InvalidGoal, NoMachineFits, PlanOptions
from northstar.evaluation.planning.found import Plan
from northstar.evaluation.planning.goals import Goal, parse_goals
from northstar.evaluation.planning.machines import DISK_USD_PER_GB_MONTH, Machine, offered, price_table
from northstar.evaluation.planning.parts import (
    PlanPart,
    fitting,
    in_region,
    machines_of,
    mixed_part,
    part_for_pool,
    parts_of,
)
from northstar.evaluation.planning.trials import Manned, fleet_of
from northstar.simulation.fleet.lengths import Length
from northstar.simulation.scenario.jobs import jobs_of
from northstar.simulation.scenario.plan import Scenario, SettingsPlan, WindowPlan
from northstar.simulation.scenario.policies import POLICIES
from northstar.simulation.scenario.reading import ReadScenario, read_scenario, read_scenario_text
from northstar.simulation.scenario.workload_plan import OwnTrace, WorkloadPlan
from northstar.simulation.scenario.writing import scenario_text
from northstar.simulation.workload.own_trace import traced_jobs
from northstar.simulation.workload.service_days import whole_days

#: Whose machines the work ran on where the trace does not say it.
_USUAL_GPU: Final = "rtx-4090"
#: From so many service days on the first of them warms the fleet up.
_DAYS_WITH_WARM_UP: Final = 3
#: Regions of one plan: each is searched for by itself.
MOST_REGIONS: Final = 50
#: Jobs between two looks whether somebody wants to stop.
_LOOK_EVERY: Final = 2_000


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What whoever asks has said; empty and None: nothing."""

    goals: tuple[str, ...] = ()
    prices: Path | None = None
    #: Classes of GPUs, and how many times as long work takes on them as the trace says.
    gpus: dict[str, float] = {}
    spot: bool = False
    disks: tuple[float, ...] = ()
    usd_per_gb_month: float = DISK_USD_PER_GB_MONTH
    load: float | None = None
    by: Literal["pools", "mixed"] | None = None
    pools_file: Path | None = None
    warm_up: Length | None = None
    last_days: int | None = None
    seeds: tuple[int, ...] = ()


class Question(NamedTuple):
    """A workload, and the parts that a fleet for it may have."""

    #: With one machine of each kind.
    read: ReadScenario
    parts: tuple[PlanPart, ...]
    #: Pools for which goals may be.
    pools: tuple[str, ...]
    is_mixed: bool

    def goals(self, texts: Sequence[str]) -> tuple[Goal, ...]:
        """The goals that may be asked of it. Raises InvalidGoal: one is none, or for a pool that there is not."""
        goals = parse_goals(list(texts), pools=list(self.pools))
        for text, goal in zip(texts, goals, strict=True):
            if goal.pool and self.is_mixed:
                raise InvalidGoal(
                    text, "names a pool, and pools are switched off; leave the pool out, or plan with --pools pools"
                )
        return goals

    def digest(self, goals: Sequence[Goal]) -> str:
        """Equal for equal questions about equal files."""
        found = hashlib.sha256(self.read.digest().encode())
        found.update(msgspec.json.encode([str(goal) for goal in goals]))
        found.update(msgspec.json.encode(self.parts, enc_hook=lambda value: value.ms, order="deterministic"))
        return found.hexdigest()


def with_fleet(questions: Sequence[Question], plan: Plan) -> Scenario:
    """The workload of all questions with the fleet of their plan, as a scenario."""
    machines = {machine.name: machine for one in questions for part in one.parts for machine in part.machines}
    manned = [Manned(machines[part.machine], part.machines) for part in plan.fleet.parts]
    scenario = questions[0].read.scenario
    sources = tuple(source for one in questions for source in one.read.scenario.workload.sources)
    return msgspec.structs.replace(
        scenario,
        about=f"{_found(plan)} {', '.join(plan.goals)} ({plan.fleet.usd_per_hour:,.2f} USD an hour).",
        workload=msgspec.structs.replace(scenario.workload, sources=sources),
        fleet=fleet_of(manned),
    )


def _found(plan: Plan) -> str:
    return "The cheapest fleet found for" if plan.fleet.is_met else "The nearest fleet found, which MISSES"


def digest_of(questions: Sequence[Question], goals: Sequence[Goal]) -> str:
    """Equal for equal questions about equal files."""
    return hashlib.sha256(" ".join(one.digest(goals) for one in questions).encode()).hexdigest()


async def regions_of(trace: Path) -> tuple[str, ...]:
    """The regions in which a trace's jobs ran, in the order of their names.

    Raises:
        PlanOptions: it does not say it of all of them. What readers of traces do.
    """
    found: Counter[str] = Counter()
    for at, job in enumerate(traced_jobs(trace)):
        if job.ran_s is not None:
            found[job.region] += 1
        if at % _LOOK_EVERY == 0:
            await asyncio.sleep(0)
    if found[""] or not found:
        raise PlanOptions(
            f"{trace} does not say of {counted(found[''], 'job')} in which region they ran; fill in the column region, or leave --by-region out"
        )
    if len(found) > MOST_REGIONS:
        raise PlanOptions(f"{trace} has {len(found):,} regions, more than the {MOST_REGIONS} that one plan may have")
    return tuple(sorted(found.keys() - {""}))


async def question_of_trace(trace: Path, wishes: Wishes, *, region: str = "") -> Question:
    """Of a trace of one's own; with a region, of its jobs there, which may run nowhere else.

    Raises:
        NoMachineFits, MachineWithoutPrice, PlanOptions: what cannot be had. What readers of traces, price tables and pools do.
    """
    pools = packaged_pools() if wishes.pools_file is None else load_pools(wishes.pools_file)
    folder = Path.cwd()
    workload = WorkloadPlan(
        sources=(OwnTrace(trace=str(trace), region=region),), users=wishes.load or 1.0, gpu_paces=_paces(wishes.gpus)
    )
    seeds = wishes.seeds or (1,)
    demand = Demand()
    for job in jobs_of(workload, seed=seeds[0], folder=folder):
        demand.see(job)
        if demand.all_jobs % _LOOK_EVERY == 0:
            await asyncio.sleep(0)
    if not demand.all_jobs:
        raise PlanOptions(f"{trace} has no job of which it is known how long it ran, so there is nothing to plan for")
    own = max(demand.gpu_classes.items(), key=lambda item: item[1], default=(_USUAL_GPU, 0))[0]
    classes = tuple(wishes.gpus) or ((_USUAL_GPU if own == NO_GPU else own),)
    machines = offered(price_table(wishes.prices), classes, services=sorted(demand.services), spot=wishes.spot)
    is_mixed = wishes.by == "mixed"
    parts = [in_region(part, region) for part in _parts(pools, machines, wishes, is_mixed=is_mixed)]
    all_machines = tuple(machine for part in parts for machine in part.machines)
    fit = fitting(PlanPart(name="the whole fleet", pools=(), machines=all_machines), demand)
    if is_mixed:
        parts = [msgspec.structs.replace(parts[0], machines=fit.machines)]
    settings = SettingsPlan(
        pools=None if wishes.pools_file is None else str(wishes.pools_file), routing="uniform" if is_mixed else None
    )
    scenario = Scenario(
        about="A fleet that is planned.",
        workload=workload,
        fleet=fleet_of([Manned(machine, 1) for part in parts for machine in part.machines]),
        settings=settings,
        seeds=seeds,
        window=_window(wishes, demand.last_ms),
    )
    read = read_scenario_text(
        scenario_text(scenario), source=f"the plan for {trace}", folder=folder, policies=POLICIES, is_seen=False
    )
    return Question(read, tuple(parts), tuple(pools.pools), is_mixed)


def question_of_scenario(file: Path, wishes: Wishes) -> Question:
    """Of a scenario: its workload, window, faults and settings, and its kinds of machines as what there is to choose from.

    Raises:
        PlanOptions: something was said that the scenario says already. MachineWithoutPrice. What `read_scenario` and price tables do.
    """
    for option, value in (
        ("--gpu", wishes.gpus),
        ("--prices", wishes.prices),
        ("--pools-file", wishes.pools_file),
        ("--spot", wishes.spot),
    ):
        if value:
            raise PlanOptions(
                f"{option} goes with --trace; a scenario says itself which machines there are and what they cost"
            )
    read = read_scenario(file, policies=POLICIES)
    scenario = read.scenario
    changed = scenario
    if wishes.load is not None:
        changed = msgspec.structs.replace(
            changed, workload=msgspec.structs.replace(changed.workload, users=changed.workload.users * wishes.load)
        )
    if wishes.warm_up is not None or wishes.last_days is not None:
        changed = msgspec.structs.replace(changed, window=_window(wishes, 0))
    if wishes.seeds:
        changed = msgspec.structs.replace(changed, seeds=wishes.seeds)
    if wishes.by == "mixed":
        changed = msgspec.structs.replace(
            changed, settings=msgspec.structs.replace(changed.settings, routing="uniform")
        )
    machines = machines_of(scenario.fleet, read.prices())
    if wishes.disks:
        machines = [
            machine.with_disk(disk_gb, usd_per_gb_month=wishes.usd_per_gb_month)
            for machine in machines
            for disk_gb in wishes.disks
        ]
    pools = read.pools()
    is_mixed = changed.settings.routing == "uniform" or pools.routing.mode == "uniform"
    parts = [mixed_of(machines)] if is_mixed else parts_of(machines)
    # The workload as it was changed is read again as a file would be, so that all that is checked there is checked here.
    changed = msgspec.structs.replace(
        changed,
        fleet=fleet_of([Manned(machine, 1) for part in parts for machine in part.machines]),
        policies=("north-star",),
        prices=None,
    )
    again = read_scenario_text(
        scenario_text(changed), source=str(file), folder=read.folder, policies=POLICIES, is_seen=False
    )
    return Question(again, tuple(parts), tuple(pools.pools), is_mixed)


def mixed_of(machines: Sequence[Machine]) -> PlanPart:
    """All kinds of a scenario as one choice, while pools are switched off."""
    return PlanPart(name="fleet", pools=(), machines=tuple(machines))


def _parts(pools: Pools, machines: Sequence[Machine], wishes: Wishes, *, is_mixed: bool) -> list[PlanPart]:
    if is_mixed:
        return [mixed_part(pools, machines, disks=wishes.disks, usd_per_gb_month=wishes.usd_per_gb_month)]
    found = [
        part
        for pool in pools.pools
        if (part := part_for_pool(pool, pools, machines, disks=wishes.disks, usd_per_gb_month=wishes.usd_per_gb_month))
    ]
    if not found:
        raise NoMachineFits(
            "any pool",
            f"no pool takes a machine with {' or '.join(f'{gb:g}' for gb in wishes.disks)} GB of disk; "
            "choose other --disks, or plan one fleet for all work with --pools mixed",
        )
    return found


def _paces(gpus: dict[str, float]) -> dict[str, float]:
    return {gpu_class: pace for gpu_class, pace in gpus.items() if pace != 1.0}


def _window(wishes: Wishes, last_ms: int) -> WindowPlan:
    if wishes.last_days is not None:
        return WindowPlan(last_days=wishes.last_days)
    if wishes.warm_up is not None:
        return WindowPlan(begins=wishes.warm_up)
    return WindowPlan(begins=Length(86_400_000)) if whole_days(last_ms) >= _DAYS_WITH_WARM_UP else WindowPlan()
