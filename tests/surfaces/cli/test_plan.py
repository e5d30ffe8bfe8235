"""`northstar plan` as a user has it: a fleet beside the uniform one, a file that can be gone on with, and goals that cannot be met."""

from __future__ import annotations

import io
import json
import signal
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import TextColumn

from northstar.evaluation.planning.found import FleetFound, PartPlan, Plan, Reached
from northstar.evaluation.planning.judge import Judged
from northstar.evaluation.planning.machines import Machine
from northstar.evaluation.planning.trials import Manned, TrialLine
from northstar.simulation.engine import Progress
from northstar.simulation.fleet.plan import MachineKind
from northstar.simulation.scenario.progress import Tally
from northstar.surfaces.cli.plan_progress import _Bar
from northstar.surfaces.cli.plan_text import show_plan
from tests.northstar_command import Northstar

#: A job every ten seconds that takes twenty-five: two machines fall behind, three keep up. Who begins waits for the model to be fetched.
MODEL = '"[{""name"":""x.safetensors"",""kind"":""checkpoint"",""size_bytes"":1000000000}]"'
TRACE = "\n".join(
    [
        "submitted_s,service,user,modality,steps,models,ran_s",
        *(f"{1_733_054_400 + 10 * at},pictures,u{at % 3},image,20,{MODEL},25" for at in range(40)),
        "",
    ]
)
SCENARIO = """\
workload: {sources: [{from: own, trace: mine.csv}]}
fleet:
  kinds:
    l4: {gpu: NVIDIA L4, vram_gb: 24, disk_gb: 80, pools: [fast-lane], services: [pictures], price_usd_per_hour: 0.5}
  groups:
    - {name: all, kind: l4, count: 2}
"""
MIXED = ("--trace", "mine.csv", "--pools", "mixed", "--disks", "40", "--goal", "wait<10s@80%", "--warm-up", "60s")


@pytest.fixture
def northstar(tmp_path: Path) -> Northstar:
    found = Northstar(tmp_path)
    (tmp_path / "mine.csv").write_text(TRACE)
    (tmp_path / "s.yaml").write_text(SCENARIO)
    return found


def test_the_cheapest_fleet_is_found_written_down_and_gone_on_with(northstar: Northstar) -> None:
    once = northstar.run("plan", *MIXED, "--json", "--out", "once.jsonl", "--write", "fleet.yaml")
    assert once.code == 0, once
    plan = once.json
    assert (plan["jobs"], plan["judged_jobs"]) == (40, 34)
    (part,) = plan["fleet"]["parts"]
    assert (part["machines"], part["gpu"], part["disk_gb"]) == (3, "RTX 4090", 40)
    assert part["usd_per_hour"] == pytest.approx(3 * (0.18 + 40 * 0.08 / 730), abs=1e-4)
    assert part["goals"][0]["share"] >= 0.8
    assert part["limit"].startswith("with 2: wait<10s@80% is missed; ")
    assert plan["uniform"]["parts"][0]["machines"] == 3
    assert plan["saving"] == pytest.approx(1 - plan["fleet"]["usd_per_hour"] / plan["uniform"]["usd_per_hour"])

    whole = (northstar.folder / "once.jsonl").read_bytes()
    (northstar.folder / "twice.jsonl").write_bytes(
        whole[: whole.rindex(b'{"kind":"trial"') + 40]
    )  # cut off in the last trial
    again = northstar.run("plan", *MIXED, "--json", "--out", "twice.jsonl", "--resume")
    assert again.json["fleet"] == plan["fleet"]
    assert again.json["simulations"] == 1 < plan["simulations"]
    assert (northstar.folder / "twice.jsonl").read_bytes() == whole
    other = northstar.run("plan", *MIXED, "--goal", "wait<9s@80%", "--out", "twice.jsonl", "--resume")
    assert (other.code, other.err.split(":")[0]) == (3, "NS_RUN_FILE_DIFFERS")
    written = (northstar.folder / "fleet.yaml").read_text()
    assert "count: 3" in written
    assert "routing: uniform" in written


def test_a_goal_that_no_fleet_within_the_bounds_meets_says_how_near_and_why(northstar: Northstar) -> None:
    answer = northstar.run("plan", *MIXED, "--max-machines", "2", "--no-uniform")
    assert answer.code == 1, answer
    assert "2, not enough" in answer.out
    assert "wait<10s@80% MISSED" in answer.out
    assert (
        "of the late jobs waited for a free machine: with 2 machines, as many as may be; allow more with --max-machines"
        in answer.out
    )


def test_kinds_of_a_scenario_are_the_choice_and_jobs_of_other_pools_count_where_they_ran(northstar: Northstar) -> None:
    # Every second job takes so long that the matrix wants it in Standard, of which the scenario has no machines.
    lines = (northstar.folder / "mine.csv").read_text().splitlines()
    longer = [line.replace(",image,20,", ",image,80,").removesuffix(",25") + ",70" for line in lines[2::2]]
    (northstar.folder / "mine.csv").write_text("\n".join([*lines[:2], *longer, ""]))
    answer = northstar.run("plan", "--scenario", "s.yaml", "--goal", "fast-lane:wait<60s@50%", "--no-uniform", "--json")
    assert answer.code == 0, answer
    assert answer.err.startswith("1: look ")
    plan = answer.json
    assert plan["unserved"]["standard"] > 0
    (part,) = plan["fleet"]["parts"]
    assert (part["part"], part["machine"], part["usd_per_hour"]) == ("fast-lane", "l4", part["machines"] * 0.5)
    assert part["goals"][0]["jobs"] == plan["judged_jobs"] == plan["jobs"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "NS_PLAN_OPTIONS: name what to plan for"),
        (("--trace", "mine.csv", "--scenario", "s.yaml"), "NS_PLAN_OPTIONS: name what to plan for"),
        (("--trace", "mine.csv", "--resume"), "NS_PLAN_OPTIONS: --resume goes on with a file"),
        (
            ("--trace", "mine.csv", "--goal", "wait<10@95%"),
            "NS_INVALID_GOAL: goal 'wait<10@95%': '10' between '<' and '@'",
        ),
        (
            ("--trace", "mine.csv", "--goal", "fastlane:wait<10s@95%"),
            "NS_INVALID_GOAL: goal 'fastlane:wait<10s@95%': there is no pool",
        ),
        (
            (*MIXED, "--goal", "fast-lane:wait<10s@95%"),
            "NS_INVALID_GOAL: goal 'fast-lane:wait<10s@95%': names a pool, and pools",
        ),
        (
            (*MIXED, "--goal", "response<20s@95%"),
            "NS_GOAL_IMPOSSIBLE: no fleet meets response<20s@95%: the work alone of 100.0%",
        ),
        (
            ("--trace", "mine.csv", "--pools", "mixed", "--disks", "0.5"),
            "NS_NO_MACHINE_FITS: no machine that may be had fits the work of the whole fleet: a job needs 1.0 GB of disk (the largest of its models is x.safetensors)",
        ),
        (("--trace", "mine.csv", "--disks", "5"), "NS_NO_MACHINE_FITS: no machine that may be had fits any pool"),
        (("--trace", "mine.csv", "--disks", "40,big"), "NS_PLAN_OPTIONS: --disks 40,big: 'big' is no size"),
        (
            ("--trace", "mine.csv", "--gpu", "rtx-409"),
            "NS_MACHINE_WITHOUT_PRICE: a machine with one rtx-409 has no price; did you mean rtx-4090;",
        ),
        (("--trace", "mine.csv", "--gpu", "l4=fast"), "NS_PLAN_OPTIONS: --gpu l4=fast: 'fast' is no number"),
        (("--trace", "mine.csv", "--warm-up", "1"), "NS_PLAN_OPTIONS: --warm-up: '1' is no length of time"),
        (
            ("--trace", "mine.csv", "--warm-up", "1d"),
            "NS_SCENARIO_IMPOSSIBLE: the plan for mine.csv: `window.from` is 24 h, after the last job has come",
        ),
        (("--trace", "none.csv"), "NS_TRACE_UNREADABLE: "),
        (("--scenario", "s.yaml", "--gpu", "l4"), "NS_PLAN_OPTIONS: --gpu goes with --trace"),
    ],
)
def test_what_cannot_be_planned_is_told_with_its_code(
    northstar: Northstar, arguments: tuple[str, ...], says: str
) -> None:
    answer = northstar.run("plan", *arguments)
    assert answer.code == 2, answer
    assert answer.out == ""
    assert answer.err.startswith(says)


@pytest.mark.parametrize("price", ["inf", "nan", "-1"])
def test_a_price_of_disks_that_is_none_is_refused(northstar: Northstar, price: str) -> None:
    answer = northstar.run("plan", "--trace", "mine.csv", "--disk-price", price)
    assert (answer.code, "Invalid value for '--disk-price'" in answer.err) == (2, True), answer


@pytest.mark.long
def test_ctrl_c_leaves_trials_that_can_be_gone_on_with(northstar: Northstar) -> None:
    file = northstar.folder / "out.jsonl"
    seeds = [f"--seed={at}" for at in range(900)]
    with northstar.started("plan", *MIXED, *seeds, "--max-trials", "1000", "--out", "out.jsonl") as process:
        process.until(lambda: file.exists() and file.read_bytes().count(b"\n") > 2, what="a trial is over")
        assert process.stop(signal.SIGINT) == 130
    assert "go on with --resume" in process.words()
    assert all(json.loads(line) for line in file.read_text().splitlines())


# --- What is shown -----------------------------------------------------------------------------------------------------------


def part(name: str, machines: int, usd: float, **fields: object) -> PartPlan:
    known: dict[str, object] = {"pools": (name,), "goals": (reached(),), "utilisation": 0.5, "limit": ""}
    return PartPlan(
        part=name,
        machines=machines,
        machine=name,
        gpu="L4",
        vram_gb=24,
        disk_gb=40,
        region="",
        usd_per_hour=usd,
        **(known | fields),  # type: ignore[arg-type]
    )


def reached(*, met: bool = True, share: float = 0.96, pools: str = "") -> Reached:
    return Reached(goal="wait<10s@95%", pools=pools, jobs=100, share=share, met=met)


def fleet(*parts: PartPlan, policy: str = "north-star", is_whole: bool = True) -> FleetFound:
    return FleetFound(
        policy=policy,
        parts=parts,
        usd_per_hour=sum(one.usd_per_hour for one in parts),
        is_met=all(one.is_met for one in parts),
        is_whole=is_whole,
        seeds=(1, 2),
    )


def shown(own: FleetFound, uniform: FleetFound | None, saving: float | None, capsys: pytest.CaptureFixture[str]) -> str:
    show_plan(
        Plan(
            goals=("wait<10s@95%",),
            load=4,
            jobs=1_000,
            judged_jobs=900,
            unserved={"standard": 30},
            fleet=own,
            uniform=uniform,
            saving=saving,
            simulations=7,
            remembered=2,
        )
    )
    return capsys.readouterr().out


def test_parts_their_sum_the_uniform_fleet_and_the_saving_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    own = fleet(part("fast-lane", 20, 10.0, limit="with 19: 94.1%, wait<10s@95% is missed"), part("heavy", 2, 4.0))
    out = shown(own, fleet(part("uniform", 30, 28.0), policy="uniform-lru"), 0.5, capsys)
    assert "900 of 1,000 jobs are judged, load x4, 2 seeds." in out
    assert "30 jobs are wanted in standard, which no machine of the choice may enter; they count where they run." in out
    rows = [line.split() for line in out.splitlines()]
    assert ["north-star", "all", "22", "14.00"] in rows
    assert next(row for row in rows if row[0] == "uniform-lru")[1:3] == ["uniform", "30"]
    assert "fast-lane: with 19: 94.1%, wait<10s@95% is missed." in out
    assert "14.00 USD/h instead of 28.00: saves 50.0%, 10,220 USD a month." in out
    assert "7 simulations were made, 2 were known." in out


def test_what_is_missed_and_what_was_cut_short_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    missed = part("uniform", 100, 50.0, goals=(reached(met=False, share=0.72),), limit="72.0%, wait<10s@95% is missed")
    out = shown(fleet(part("fast-lane", 20, 10.0), is_whole=False), fleet(missed), None, capsys)
    assert "72.0% fast-lane" not in out
    assert "100, not enough" in out
    assert "uniform: 72.0%, wait<10s@95% is missed." in out
    assert "nothing can be said of a saving" in out
    assert "--max-trials" in out


def test_the_bar_tells_what_is_tried_and_what_it_came_to() -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    with Bar(TextColumn("{task.description} {task.fields[live]}"), console=console, auto_refresh=False) as bar:
        show = _Bar(bar)
        machine = Machine(
            name="l4-40gb",
            kind=MachineKind(gpu="L4", vram_gb=24, pools=("fast-lane",), services=("p",)),
            usd_per_hour=1,
            bare_usd_per_hour=1,
        )
        show.begins("north-star", 7, [Manned(machine, 3)], 10)
        show.goes(Progress(now_ms=3_600_000, submitted=6, ended=4, waiting=1), Tally(from_ms=0, until_ms=None))
        (task,) = bar.tasks
        assert (task.description, task.completed, task.total) == ("1: north-star 3 l4-40gb, seed 7", 4, 10)
        assert task.fields["live"].startswith("day 0 01:00")
        judged = Judged(
            part="fast-lane",
            pools="fast-lane",
            goal="wait<10s@95%",
            jobs=6,
            within=5,
            late_cold=0,
            met=False,
            margin=-0.1,
        )
        show.ends(TrialLine(policy="north-star", seed=7, fleet=(("l4-40gb", 3),), judged=(judged,)))
    assert "1: north-star 3 l4-40gb, seed 7: too few machines for fast-lane; broken off" in console.export_text()


def test_where_pools_cost_more_than_one_fleet_the_other_way_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    own = fleet(part("fast-lane", 2, 10.0), part("heavy", 1, 4.0))
    out = shown(own, fleet(part("uniform", 2, 7.0)), -1.0, capsys)
    assert "costs 100.0% more" in out
    assert "try --pools mixed" in out
