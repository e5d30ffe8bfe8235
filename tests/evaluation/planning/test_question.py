"""What there is to choose from: machines of a price table for the pools that take them, kinds of a scenario, regions."""

from __future__ import annotations

from pathlib import Path

import pytest

from northstar.config.pools import packaged_pools
from northstar.domain.gpu_classes import gpu_class_of
from northstar.evaluation.planning.errors import MachineWithoutPrice, NoMachineFits, PlanOptions
from northstar.evaluation.planning.found import FleetFound, PartPlan, Plan, one_plan
from northstar.evaluation.planning.goals import parse_goal
from northstar.evaluation.planning.machines import offered, price_table
from northstar.evaluation.planning.parts import PlanPart
from northstar.evaluation.planning.question import (
    Question,
    Wishes,
    question_of_scenario,
    question_of_trace,
    regions_of,
    with_fleet,
)
from northstar.simulation.fleet.lengths import Length
from northstar.simulation.scenario.policies import POLICIES
from northstar.simulation.scenario.reading import read_scenario_text
from northstar.simulation.scenario.workload_plan import OwnTrace
from northstar.simulation.scenario.writing import moved, scenario_text

EXAMPLES = Path(__file__).resolve().parents[3] / "docs" / "examples" / "simulation"
MODEL = '"[{""name"":""x.safetensors"",""kind"":""checkpoint"",""size_bytes"":50000000000}]"'


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    rows = [f"{1_733_054_400 + 60 * at},pictures,10,l4,{'eu' if at % 2 else 'us'}," for at in range(6)]
    rows.append(f"1733313600,pictures,10,l4,eu,{MODEL}")  # the third day
    file = tmp_path / "mine.csv"
    file.write_text("\n".join(["submitted_s,service,ran_s,gpu_class,region,models", *rows, ""]))
    return file


def named(parts: tuple[PlanPart, ...]) -> dict[str, list[float]]:
    return {part.name: [machine.kind.disk_gb for machine in part.machines] for part in parts}


async def test_each_pool_has_the_disks_that_it_takes_and_the_gpu_that_ran_the_trace(trace: Path) -> None:
    question = await question_of_trace(trace, Wishes())
    found = named(question.parts)
    assert found["fast-lane"] == [40, 80]
    assert found["standard"] == [120, 200]
    assert {machine.kind.gpu for part in question.parts for machine in part.machines} == {"L4"}
    assert question.read.scenario.window.begins == Length(86_400_000), "the first of three days warms the fleet up"


async def test_disks_that_are_named_are_offered_to_the_pools_that_take_them(trace: Path) -> None:
    question = await question_of_trace(trace, Wishes(disks=(40, 150)))
    found = named(question.parts)
    assert found["fast-lane"] == [40, 150]
    assert found["standard"] == [150]
    assert "heavy" not in found


async def test_in_a_mixed_fleet_only_machines_that_hold_every_job_are_left(trace: Path) -> None:
    question = await question_of_trace(trace, Wishes(by="mixed", disks=(40, 80)))
    assert named(question.parts) == {"fleet": [80]}
    assert question.read.pools().routing.mode == "uniform"
    with pytest.raises(
        NoMachineFits, match=r"a job needs 50\.0 GB of disk \(the largest of its models is x\.safetensors\)"
    ):
        await question_of_trace(trace, Wishes(by="mixed", disks=(40,)))


async def test_a_disk_costs_by_the_month_beside_its_machine(trace: Path) -> None:
    question = await question_of_trace(trace, Wishes(by="mixed", disks=(73,), usd_per_gb_month=0.10))
    assert question.parts[0].machines[0].usd_per_hour == pytest.approx(0.805 + 0.01)


async def test_regions_have_parts_and_jobs_of_their_own_and_one_scenario(trace: Path, tmp_path: Path) -> None:
    assert await regions_of(trace) == ("eu", "us")
    questions = [await question_of_trace(trace, Wishes(disks=(80,)), region=region) for region in ("eu", "us")]
    part = fast_lane(questions[0])
    assert (part.name, part.machines[0].kind.region, part.machines[0].name) == (
        "fast-lane@eu",
        "eu",
        "eu-fast-lane-l4-80gb",
    )
    plan = one_plan([planned(question, count) for count, question in enumerate(questions, start=2)])
    assert (plan.fleet.usd_per_hour, [part.machines for part in plan.fleet.parts]) == (5.0, [2, 3])
    written = scenario_text(
        moved(with_fleet(questions, plan), from_folder=questions[0].read.folder, to_folder=tmp_path)
    )
    read = read_scenario_text(written, source="fleet.yaml", folder=tmp_path, policies=POLICIES).scenario
    assert [source.region for source in read.workload.sources if isinstance(source, OwnTrace)] == ["eu", "us"]
    assert [(group.name, group.count) for group in read.fleet.groups] == [
        ("eu-fast-lane-l4-80gb", 2),
        ("us-fast-lane-l4-80gb", 3),
    ]
    assert {kind.region for kind in read.fleet.kinds.values()} == {"eu", "us"}


async def test_a_trace_that_does_not_say_where_its_jobs_ran_has_no_regions(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("submitted_s,service,ran_s,region\n1,p,1,eu\n2,p,1,\n")
    with pytest.raises(PlanOptions, match="does not say of 1 job in which region"):
        await regions_of(tmp_path / "mine.csv")


def test_kinds_of_a_scenario_for_the_same_pools_are_a_choice_and_keep_their_laws() -> None:
    question = question_of_scenario(EXAMPLES / "spot.yaml", Wishes(load=2))
    (part,) = question.parts
    assert [(machine.name, machine.usd_per_hour) for machine in part.machines] == [("staying", 0.8), ("spot", 0.25)]
    assert part.machines[1].group is not None
    assert part.machines[1].group.disks == "kept"
    assert question.read.scenario.workload.users == 2
    more = question_of_scenario(EXAMPLES / "spot.yaml", Wishes(disks=(80, 160)))
    assert [machine.kind.disk_gb for machine in more.parts[0].machines] == [80, 160, 80, 160]
    assert more.parts[0].machines[1].usd_per_hour == pytest.approx(0.8 + 80 * 0.08 / 730, abs=1e-6)


def test_a_kind_without_a_price_is_refused_by_its_name() -> None:
    with pytest.raises(
        MachineWithoutPrice, match=r"kind workstation of the scenario has no price; .*price_usd_per_hour"
    ):
        question_of_scenario(EXAMPLES / "own-history.yaml", Wishes())


async def test_equal_questions_have_equal_digests_and_others_do_not(trace: Path) -> None:
    goals = [parse_goal("wait<10s@95%")]
    one, same, other = [await question_of_trace(trace, wishes) for wishes in (Wishes(), Wishes(), Wishes(disks=(80,)))]
    assert one.digest(goals) == same.digest(goals) != other.digest(goals)
    assert one.digest(goals) != one.digest([parse_goal("wait<9s@95%")])


def test_the_prices_that_come_with_north_star_are_of_known_classes() -> None:
    table = price_table(None)
    assert {row.gpu_class for row in table} == {"rtx-4090", "rtx-3090", "t4", "a10g", "l4", "l40s", "a100"}
    for machine in offered(table, ["a100", "rtx-4090"], services=["p"]):
        assert gpu_class_of(machine.kind.gpu) in {"a100", "rtx-4090"}
    with pytest.raises(MachineWithoutPrice, match="a spot machine with one l4 has no price"):
        offered(table, ["l4"], services=["p"], spot=True)


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.yaml")), ids=lambda file: file.stem)
def test_a_scenario_that_is_written_reads_the_same(file: Path, tmp_path: Path) -> None:
    scenario = read_scenario_text(file.read_text(), source=str(file), folder=EXAMPLES, policies=POLICIES).scenario
    there = moved(scenario, from_folder=EXAMPLES, to_folder=tmp_path)
    again = read_scenario_text(scenario_text(there), source="again", folder=tmp_path, policies=POLICIES).scenario
    assert again == there
    assert moved(again, from_folder=tmp_path, to_folder=EXAMPLES) == scenario


def fast_lane(question: Question) -> PlanPart:
    return next(part for part in question.parts if part.pools == ("fast-lane",))


def planned(question: Question, count: int) -> Plan:
    part = fast_lane(question)
    machine = part.machines[0]
    told = PartPlan(
        part=part.name,
        pools=part.pools,
        machines=count,
        machine=machine.name,
        gpu=machine.kind.gpu,
        vram_gb=24,
        disk_gb=80,
        region=machine.kind.region,
        usd_per_hour=float(count),
        goals=(),
        utilisation=None,
    )
    fleet = FleetFound(
        policy="north-star", parts=(told,), usd_per_hour=float(count), is_met=True, is_whole=True, seeds=(1,)
    )
    return Plan(
        goals=("wait<10s@95%",),
        load=1,
        jobs=3,
        judged_jobs=3,
        unserved={},
        fleet=fleet,
        uniform=None,
        saving=None,
        simulations=1,
        remembered=0,
    )


def test_pools_that_come_with_north_star_bound_their_machines() -> None:
    pools = packaged_pools()
    assert PlanPart.most(_part("research"), pools) == 20


def _part(pool: str) -> PlanPart:
    (machine,) = offered(price_table(None), ["a100"], services=["p"])
    return PlanPart(name=pool, pools=(pool,), machines=(machine,))
