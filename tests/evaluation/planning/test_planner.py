"""Whole plans of work for several pools, with simulations whose answers are known beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from northstar.config.pools import packaged_pools
from northstar.evaluation.planning.errors import GoalImpossible
from northstar.evaluation.planning.found import FleetFound, Plan
from northstar.evaluation.planning.goals import parse_goal
from northstar.evaluation.planning.judge import Aim, Judged
from northstar.evaluation.planning.machines import offered, price_table
from northstar.evaluation.planning.parts import PlanPart
from northstar.evaluation.planning.planner import Planner, PlanTerms, Work
from northstar.evaluation.planning.trials import UNIFORM, Manned, TrialLine, Trials
from northstar.simulation.scenario.results import FaultCount, RunResult
from tests.simulation.rig import job, model

#: Jobs of both pools take turns.
POOLS = ("fast-lane", "standard")
NEEDED = {"fast-lane": 3, "standard": 5, "enterprise": 5}


class KnownTrials(Trials):
    """No simulation is made: each pool is good enough with so many machines, and a uniform fleet with seven."""

    def __init__(self, jobs: int, pools: tuple[str, ...] = POOLS) -> None:
        self._jobs = jobs
        self._pools = pools
        self._lines: list[TrialLine] = []
        self.made = self.remembered = 0
        self.aims: Sequence[Aim] = ()
        self.uniform: list[Manned] = []

    async def look(self, fleet: Sequence[Manned], *, seed: int) -> TrialLine:
        wanted = bytes(at % 2 for at in range(self._jobs))
        return TrialLine(policy="look", seed=seed, fleet=(), judged=(), pools=self._pools, wanted=wanted)

    async def make(self, fleet: Sequence[Manned], **asked: Any) -> TrialLine:
        self.made += 1
        self.aims = asked["aims"]
        is_uniform = asked["policy"] == UNIFORM
        if is_uniform:
            self.uniform = list(fleet)
        judged = []
        for aim in self.aims:
            number = fleet[aim.part].number
            (pool,) = aim.pools
            lacks = (7 if is_uniform and asked["parts"][aim.part] == "uniform" else NEEDED[pool]) - number
            within = 100 if lacks <= 0 else 90 - lacks
            judged.append(
                Judged(
                    part=asked["parts"][aim.part],
                    pools=pool,
                    goal=str(aim.goal),
                    jobs=100,
                    within=within,
                    late_cold=0,
                    met=lacks <= 0,
                    margin=within / 100 - aim.goal.share,
                )
            )
        names = tuple((one.machine.name, one.number) for one in fleet)
        line = TrialLine(policy=asked["policy"], seed=asked["seed"], fleet=names, judged=tuple(judged), result=RESULT)
        self._lines.append(line)
        return line

    def done(self) -> list[TrialLine]:
        return self._lines


RESULT = RunResult(
    jobs=0,
    endings={},
    ended_s=0,
    from_s=0,
    until_s=None,
    pools=(),
    use={},
    machines=0,
    machines_lost=0,
    fetches=0,
    fetched_gb=0,
    redundant=0,
    redundant_gb=0,
    faults=FaultCount(befell=0, missed=0),
)


def part(*pools: str, gpus: Sequence[str] = ("l4",)) -> PlanPart:
    machines = [
        one.with_disk(200, usd_per_gb_month=0).for_pools(pools)
        for one in offered(price_table(None), gpus, services=["p"])
    ]
    return PlanPart(name="+".join(pools), pools=pools, machines=tuple(machines))


async def planned(
    *parts: PlanPart, goal: str = "wait<10s@95%", most: int = 100, pools: tuple[str, ...] = POOLS
) -> tuple[Plan, KnownTrials]:
    jobs = [job(10 * at, model("x"), run_s=20) for at in range(40)]
    trials = KnownTrials(len(jobs), pools)
    terms = PlanTerms(
        goals=(parse_goal(goal),), seeds=(1,), most=most, trials=100, usd_per_gb_month=0.073, pools=packaged_pools()
    )
    planner = Planner(parts, Work(lambda _seed: iter(jobs), 0, None), trials, terms)
    return await planner.plan(), trials


def counts(fleet: FleetFound | None) -> dict[str, int]:
    assert fleet is not None
    return {one.part: one.machines for one in fleet.parts}


async def test_each_pool_gets_what_it_needs_and_one_without_work_has_no_part() -> None:
    plan, _ = await planned(part("lightning"), part("fast-lane"), part("standard"))
    assert counts(plan.fleet) == {"fast-lane": 3, "standard": 5}
    assert counts(plan.uniform) == {"uniform": 7}
    assert plan.fleet.usd_per_hour == pytest.approx(8 * 0.805)
    assert plan.uniform is not None
    assert plan.saving == pytest.approx(1 - plan.fleet.usd_per_hour / plan.uniform.usd_per_hour)
    assert [one.limit for one in plan.fleet.parts] == [
        "with 2: 89.0%, wait<10s@95% is missed; 100% of the late jobs waited for a free machine",
        "with 4: 89.0%, wait<10s@95% is missed; 100% of the late jobs waited for a free machine",
    ]


async def test_a_part_for_several_pools_meets_the_goal_in_each_of_them() -> None:
    plan, trials = await planned(part("fast-lane", "standard"))
    assert counts(plan.fleet) == {"fast-lane+standard": 5}
    assert [aim.pools_said for aim in trials.aims] == ["fast-lane", "standard"]
    assert [goal.pools for goal in plan.fleet.parts[0].goals] == ["fast-lane", "standard"]


async def test_the_uniform_fleet_holds_every_model_and_has_the_gpu_with_which_it_is_cheapest() -> None:
    plan, trials = await planned(part("fast-lane", gpus=("l4", "t4")), part("standard", gpus=("l4", "t4")))
    (one,) = trials.uniform
    assert [file.name for file in one.machine.kind.image] == ["x"]
    assert one.machine.kind.gpu == "T4"
    assert one.machine.usd_per_hour == pytest.approx(0.526 + 1 * 0.073 / 730), "its GB of models is paid for"
    assert plan.uniform is not None
    assert plan.uniform.is_met


async def test_its_gpu_has_the_memory_that_some_part_cannot_do_without() -> None:
    _, trials = await planned(part("fast-lane", gpus=("l4", "t4")), part("standard", gpus=("l40s", "a100")))
    assert trials.uniform[0].machine.kind.vram_gb >= 48


async def test_machines_that_are_kept_for_some_are_kept_for_them_in_the_uniform_fleet_too() -> None:
    plan, _ = await planned(part("fast-lane"), part("enterprise", gpus=("a100",)), pools=("fast-lane", "enterprise"))
    assert counts(plan.fleet) == {"fast-lane": 3, "enterprise": 5}
    assert counts(plan.uniform) == {"uniform": 7, "enterprise": 5}
    assert plan.uniform is not None
    assert plan.uniform.parts[0].gpu == "L4", "only enterprise needs the larger one"


async def test_what_no_number_of_machines_meets_says_how_near_it_came_and_the_others_are_sized() -> None:
    plan, _ = await planned(part("fast-lane"), part("standard"), most=4)
    assert counts(plan.fleet) == {"fast-lane": 3, "standard": 4}
    assert not plan.fleet.is_met
    assert plan.saving is None
    missed = plan.fleet.parts[1]
    assert (missed.goals[0].share, missed.goals[0].met) == (0.89, False)
    assert missed.limit == (
        "89.0%, wait<10s@95% is missed; 100% of the late jobs waited for a free machine: "
        "with 4 machines, as many as may be; allow more with --max-machines"
    )


async def test_a_goal_for_a_pool_that_nobody_wants_or_that_the_work_alone_misses_is_refused() -> None:
    with pytest.raises(GoalImpossible, match="no job is wanted in lightning, only in fast-lane, standard"):
        await planned(part("fast-lane"), part("standard"), goal="lightning:wait<10s@95%")
    with pytest.raises(GoalImpossible, match=r"the work alone of 100\.0% of these jobs takes as long or longer"):
        await planned(part("fast-lane"), part("standard"), goal="standard:response<20s@95%")
