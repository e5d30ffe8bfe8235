"""Runs of a scenario: each seed with each policy, the same every time, and refused before they begin where they cannot be."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from northstar.simulation.engine import Progress
from northstar.simulation.fleet.errors import PlanImpossible
from northstar.simulation.fleet.plan import FleetPlan, MachineGroup, MachineKind
from northstar.simulation.scenario.policies import POLICIES
from northstar.simulation.scenario.progress import Tally
from northstar.simulation.scenario.reading import read_scenario_text
from northstar.simulation.scenario.results import RunResult
from northstar.simulation.scenario.run_file import RunKey
from northstar.simulation.scenario.running import ScenarioRuns

#: Three people ask for pictures by two models, every two minutes for an hour.
ROWS = [
    f'{1_733_054_400 + 120 * at},pictures,{"abc"[at % 3]},image,20,"[{{""name"":""{"xy"[at % 2]}.safetensors"",""kind"":""checkpoint"",""size_bytes"":4000000000}}]",20'
    for at in range(30)
]
TRACE = "\n".join(["submitted_s,service,user,modality,steps,models,ran_s", *ROWS, ""])
SCENARIO = """\
workload:
  sources:
    - {from: own, trace: own.csv}
fleet:
  kinds:
    l4: {gpu: NVIDIA L4, vram_gb: 24, disk_gb: 80, pools: [fast-lane], services: [pictures], price_usd_per_hour: 0.5}
  groups:
    - {name: all, kind: l4, count: 2, boot: {law: fixed, length: 2m}}
"""

KIND = MachineKind(gpu="NVIDIA L4", vram_gb=24, disk_gb=80, pools=("fast-lane",), services=("pictures",))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "own.csv").write_text(TRACE)
    return tmp_path


def runs_of(folder: Path, more: str = "", text: str = SCENARIO) -> ScenarioRuns:
    return ScenarioRuns(read_scenario_text(text + more, source="s.yaml", folder=folder, policies=POLICIES))


async def result_of(runs: ScenarioRuns) -> RunResult:
    prepared = await runs.prepare(1)
    return await runs.run(RunKey(1, "north-star"), tally=Tally(from_ms=prepared.from_ms, until_ms=prepared.until_ms))


async def test_a_run_counts_jobs_machines_and_money_and_tells_how_far_it_is(folder: Path) -> None:
    told: list[Progress] = []
    tally = Tally(from_ms=0, until_ms=None)
    found = await runs_of(folder).run(RunKey(1, "north-star"), tally=tally, progress=told.append)
    assert (found.jobs, found.endings, found.machines, found.machines_lost) == (30, {"succeeded": 30}, 2, 0)
    whole = found.pools[-1]
    assert (whole.pool, whole.jobs, whole.succeeded) == ("all", 30, 30)
    assert whole.soon is not None
    assert whole.soon > 0.9
    assert found.fetched_gb == 4.0 * found.fetches
    assert found.cost_usd == pytest.approx(2 * 0.5 * found.ended_s / 3_600, rel=0.01)
    assert told[-1].ended == 30 == tally.ended


async def test_the_same_seed_gives_the_same_bytes(folder: Path) -> None:
    rate = "faults: [{fault: machine_loss, every: 30m}]\n"
    one, other = [await result_of(runs_of(folder, rate)) for _ in range(2)]
    assert msgspec.json.encode(one) == msgspec.json.encode(other)
    assert one.faults.befell > 0


def test_every_seed_runs_with_every_policy(folder: Path) -> None:
    keys = runs_of(folder, "seeds: [3, 4]\n").keys()
    assert list(keys) == [RunKey(3, "north-star"), RunKey(4, "north-star")]


async def test_only_jobs_of_the_window_are_counted(folder: Path) -> None:
    found = await result_of(runs_of(folder, "window: {from: 20m, until: 40m}\n"))
    assert (found.jobs, found.pools[-1].jobs) == (30, 10)


async def test_a_window_of_service_days_shrinks_with_a_workload_that_is_faster(folder: Path) -> None:
    text = SCENARIO.replace("own.csv}\n", "own.csv}\n  faster: 2\n")
    found = await runs_of(folder, "window: {last_days: 1}\n", text=text).prepare(1)
    assert (found.from_ms, found.until_ms) == (0, 43_200_000)


SCALED = SCENARIO.replace("count: 2,", "count: 6, scaling: {jobs_per_machine: 1, least: 1},")


async def test_a_group_follows_its_queue_under_every_kind_of_policy_and_costs_what_it_was_there(folder: Path) -> None:
    """A job each two minutes keeps one machine at work, whoever ranks it, whether there are pools or not."""
    for policy in ("north-star", "uniform-lru"):
        runs = runs_of(folder, f"policies: [{policy}]\n", text=SCALED)
        found = await runs.run(RunKey(1, policy), tally=Tally(from_ms=0, until_ms=None))
        assert found.endings == {"succeeded": 30}
        assert found.machines < 6
        assert round(0.5 * found.ended_s / 3_600, 6) <= found.cost_usd < 2 * 0.5 * found.ended_s / 3_600


async def test_scaling_and_restarts_give_the_same_bytes_for_the_same_seed_and_other_boots_for_another(
    folder: Path,
) -> None:
    text = SCALED.replace("{law: fixed, length: 2m}", "{law: salad-week}").replace("least: 1", "least: 0")
    restart = "faults: [{fault: valkey_restart, every: 20m, for: 20s}]\nseeds: [1, 2]\n"
    one, other = [msgspec.json.encode(await result_of(runs_of(folder, restart, text=text))) for _ in range(2)]
    assert one == other
    runs = runs_of(folder, restart, text=text)
    tally = Tally(from_ms=0, until_ms=None)
    assert msgspec.json.encode(await runs.run(RunKey(2, "north-star"), tally=tally)) != one


FAULTS = """\
faults:
  - {fault: slow_link, at: [0s], for: 10m, factor: 0.1}
  - {fault: corrupt_download, at: [0s], machines: 1}
  - {fault: engine_death, at: [605s, 965s], for: 1m}
  - {fault: partition, at: [1325s], for: 2m}
  - {fault: machine_loss, at: [1805s]}
"""


async def test_jobs_live_through_every_fault_that_is_possible(folder: Path) -> None:
    found = await result_of(runs_of(folder, FAULTS))
    assert found.endings == {"succeeded": 30}
    assert found.machines_lost == 2
    assert found.machines == 4
    assert (found.faults.befell, found.faults.missed) == (2 + 1 + 4 + 2 + 2, 0)
    assert found.pools[-1].wait_p95_s is not None
    assert found.pools[-1].wait_p95_s > 40, "faults are felt"


@pytest.mark.parametrize(
    ("more", "path", "line", "says"),
    [
        ("window: {last_days: 9}\n", "window.last_days", 9, "the last 9 cannot be taken"),
        ("window: {from: 9d}\n", "window.from", 9, "after the last job has come"),
        ("faults:\n  - {fault: machine_loss, at: [9d]}\n", "faults[0].at[0]", 10, "after the end of the simulation"),
    ],
)
async def test_what_lies_outside_of_the_simulation_is_refused_with_its_line(
    folder: Path, more: str, path: str, line: int, says: str
) -> None:
    with pytest.raises(PlanImpossible, match=says) as refused:
        await runs_of(folder, more).prepare(1)
    assert refused.value.path == path
    assert str(refused.value).startswith(f"s.yaml:{line}: ")


async def test_jobs_that_nobody_can_serve_are_refused_before_anything_runs(folder: Path) -> None:
    text = SCENARIO.replace("services: [pictures]", "services: [chat]")
    with pytest.raises(PlanImpossible, match=r"^s\.yaml:\d+: `fleet.kinds` offer no service pictures"):
        await runs_of(folder, text=text).prepare(1)


async def test_a_workload_without_jobs_is_refused(folder: Path) -> None:
    text = SCENARIO.replace("    - {from: own, trace: own.csv}\n", "    - {from: own, trace: own.csv}\n  until: 0s\n")
    with pytest.raises(PlanImpossible, match="has no job"):
        await runs_of(folder, text=text).prepare(1)


async def test_a_kind_takes_its_price_from_the_table(folder: Path) -> None:
    (folder / "prices.csv").write_text(
        "Cloud,GPU Type,GPU Arch,GPUs,GPU RAM,vCPUs,RAM,On-demand,Per-GPU,Spot,Name\n"
        "Cloudy,L4 (24 GB),Ada,1,24,8,32,0.80,0.80,0.20,small\n"
    )
    named = "{provider: Cloudy, gpu: L4 (24 GB), offer: spot}"
    text = SCENARIO.replace("price_usd_per_hour: 0.5", f"price_usd_per_hour: {named}")
    prepared = await runs_of(folder, "prices: prices.csv\n", text=text).prepare(1)
    assert {machine.price_usd_per_hour for machine in prepared.fleet.machines} == {0.2}


async def test_another_fleet_runs_with_the_same_jobs_that_are_not_looked_at_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = runs_of(folder)
    before = await runs.prepare(1)
    monkeypatch.setattr("northstar.simulation.scenario.running.Surveyor", None)
    kinds = {"l4": msgspec.structs.replace(KIND, disk_gb=40, price_usd_per_hour=0.25)}
    group = MachineGroup(name="all", kind="l4", count=3)
    found = runs.of_fleet(FleetPlan(kinds=kinds, groups=(group,)))
    after = await found.prepare(1)
    assert (after.survey, len(after.fleet.machines), len(before.fleet.machines)) == (before.survey, 3, 2)
    assert {(machine.disk_bytes, machine.price_usd_per_hour) for machine in after.fleet.machines} == {
        (40_000_000_000, 0.25)
    }


def test_another_fleet_may_have_machines_that_no_pool_takes_where_pools_are_switched_off(folder: Path) -> None:
    kinds = {"l4": msgspec.structs.replace(KIND, disk_gb=5)}
    fleet = FleetPlan(kinds=kinds, groups=(MachineGroup(name="all", kind="l4", count=1),))
    with pytest.raises(PlanImpossible, match="at least 40 are asked for"):
        runs_of(folder).of_fleet(fleet)
    runs_of(folder).of_fleet(fleet, is_uniform=True)
