"""`northstar simulate` as a user has it: tables, JSON, a file that can be gone on with, and errors that name the line."""

from __future__ import annotations

import io
import json
import signal
from pathlib import Path

import msgspec
import pytest
from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import TextColumn

from northstar.simulation.engine import Progress
from northstar.simulation.outcome import JobOutcome
from northstar.simulation.scenario.progress import Tally
from northstar.simulation.scenario.run_file import RunKey, RunLine
from northstar.surfaces.cli.simulate_progress import _Bar, live_summary, summed_up
from northstar.surfaces.cli.simulate_text import show_results
from tests.northstar_command import Northstar

MODEL = '"[{""name"":""x.safetensors"",""kind"":""checkpoint"",""size_bytes"":4000000000}]"'
TRACE = "\n".join(
    [
        "submitted_s,service,user,modality,steps,models,ran_s",
        *(f"{1_733_054_400 + 30 * at},pictures,u{at % 3},image,20,{MODEL},20" for at in range(5)),
        "",
    ]
)
SCENARIO = """\
about: Two machines for five pictures.
workload:
  sources:
    - {from: own, trace: own.csv}
fleet:
  kinds:
    l4: {gpu: NVIDIA L4, vram_gb: 24, disk_gb: 80, pools: [fast-lane], services: [pictures]}
  groups:
    - {name: all, kind: l4, count: 2}
"""


@pytest.fixture
def northstar(tmp_path: Path) -> Northstar:
    found = Northstar(tmp_path)
    (tmp_path / "own.csv").write_text(TRACE)
    (tmp_path / "s.yaml").write_text(SCENARIO)
    return found


def runs_in(file: Path) -> list[tuple[int, str]]:
    """The runs of a file of which every line is whole."""
    first, *lines = file.read_text().splitlines()
    assert json.loads(first)["kind"] == "simulation"
    return [(run["seed"], run["policy"]) for run in map(json.loads, lines)]


def test_a_scenario_is_simulated_and_told_by_pool(northstar: Northstar) -> None:
    answer = northstar.run("simulate", "s.yaml")
    assert answer.code == 0, answer
    assert "Two machines for five pictures." in answer.out
    assert "all " not in answer.out, "one pool is all there is"
    pool = next(line.split() for line in answer.out.splitlines() if "fast-lane" in line)
    assert pool[:4] == ["north-star", "fast-lane", "5", "5"]
    assert answer.err.startswith("1/1 north-star, seed 1: 5 jobs")


def test_a_file_is_gone_on_with_and_holds_the_same_bytes_as_one_made_at_once(northstar: Northstar) -> None:
    once = northstar.good("simulate", "s.yaml", "--seed", "1", "--seed", "2", "--out", "once.jsonl")
    assert [(run["seed"], run["result"]["endings"]) for run in once["runs"]] == [
        (1, {"succeeded": 5}),
        (2, {"succeeded": 5}),
    ]
    folder = northstar.folder
    whole = (folder / "once.jsonl").read_bytes()
    (folder / "twice.jsonl").write_bytes(whole[: whole.rindex(b'{"kind":"run"') + 40])  # cut off in the second run
    answer = northstar.run("simulate", "s.yaml", "--seed", "1", "--seed", "2", "--out", "twice.jsonl", "--resume")
    assert answer.code == 0, answer
    assert answer.err.startswith("in the file already: 1 of 2 runs")
    assert (folder / "twice.jsonl").read_bytes() == whole
    assert northstar.run("simulate", "s.yaml", "--out", "twice.jsonl").err.startswith("NS_RUN_FILE_EXISTS: ")
    (folder / "own.csv").write_text(TRACE.replace("pictures,u1", "pictures,u2"))
    changed = northstar.run("simulate", "s.yaml", "--out", "twice.jsonl", "--resume")
    assert (changed.code, changed.err.split(":")[0]) == (3, "NS_RUN_FILE_DIFFERS")


def test_ctrl_c_leaves_whole_lines_and_says_how_to_go_on(northstar: Northstar) -> None:
    with northstar.started(
        "simulate", "s.yaml", "--out", "out.jsonl", *(f"--seed={at}" for at in range(900))
    ) as process:
        file = northstar.folder / "out.jsonl"
        process.until(lambda: file.exists() and file.read_bytes().count(b"\n") > 1, what="a run is over")
        assert process.stop(signal.SIGINT) == 130
    done = runs_in(file)
    assert done[0] == (0, "north-star")
    assert len(done) < 900
    assert f"interrupted; in out.jsonl: {len(done)} of 900 runs; go on with --resume" in process.words()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("count: 2", "count: 0", "NS_INVALID_SCENARIO: s.yaml:9: `fleet.groups[0].count` is not possible"),
        ("kind: l4", "kind: l40", "NS_SCENARIO_IMPOSSIBLE: s.yaml:9: `fleet.groups[0].kind` is 'l40', one of l4"),
        ("own.csv", "mine.csv", "NS_INVALID_SCENARIO: s.yaml: names mine.csv, which cannot be read"),
        (
            "services: [pictures]",
            "services: [chat]",
            "NS_SCENARIO_IMPOSSIBLE: s.yaml:6: `fleet.kinds` offer no service",
        ),
    ],
)
def test_what_is_wrong_is_told_with_code_file_line_and_key(northstar: Northstar, old: str, new: str, says: str) -> None:
    (northstar.folder / "s.yaml").write_text(SCENARIO.replace(old, new))
    answer = northstar.run("simulate", "s.yaml")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(says)


def test_going_on_needs_a_file(northstar: Northstar) -> None:
    answer = northstar.run("simulate", "s.yaml", "--resume")
    assert (answer.code, "--out FILE" in answer.err) == (2, True)


# --- What is shown -----------------------------------------------------------------------------------------------------------


def waited(*waits_s: float) -> Tally:
    tally = Tally(from_ms=0, until_ms=None)
    for wait_s in waits_s:
        tally.add(
            JobOutcome(
                number=1,
                tenant="t",
                ending="succeeded",
                submitted_ms=0,
                began_ms=round(wait_s * 1_000),
                machine="m",
                pool="heavy",
                is_cold=True,
                fetched_bytes=2_000_000_000,
            )
        )
    return tally


def line(seed: int, *waits_s: float) -> RunLine:
    facts = {
        "jobs": len(waits_s),
        "endings": {"succeeded": len(waits_s)},
        "ended_s": 60,
        "from_s": 0,
        "until_s": None,
        "pools": msgspec.to_builtins(waited(*waits_s).pools()),
        "use": {"heavy": {"busy_s": 30, "paid_s": 120, "cost_usd": 1.5}},
        "machines": 2,
        "machines_lost": 1,
        "fetches": 1,
        "fetched_gb": 2,
        "redundant": 0,
        "redundant_gb": 0,
        "faults": {"befell": 4, "missed": 1},
    }
    return msgspec.convert({"kind": "run", "seed": seed, "policy": "north-star", "result": facts}, RunLine)


def test_of_several_seeds_the_median_and_the_spread_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    show_results("", [line(1, 1, 2, 30, 40), line(2, 1, 2, 3, 40), line(3, 1, 2, 3, 4)])
    shown = capsys.readouterr().out
    assert "75.0% (50.0% to 100.0%)" in shown
    assert "25.0%" in shown, "busy"
    assert "1.50" in shown
    assert "4 (3 missed)" in shown


def test_how_many_never_began_is_in_the_table_and_in_the_line_of_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    tally = waited(1, 2, 30)
    tally.add(JobOutcome(number=4, tenant="t", ending="failed", submitted_ms=0, machine="m", pool="heavy"))
    one = line(1)
    stuck = msgspec.structs.replace(one, result=msgspec.structs.replace(one.result, pools=tally.pools()))
    show_results("", [stuck])
    heading, row = capsys.readouterr().out.splitlines()[:2]
    assert heading.split()[4:7] == ["<", "10", "S"]
    assert row.split()[2:6] == ["4", "3", "50.0%", "1"]
    assert summed_up(stuck.result).startswith("4 jobs, 50.0% of them began within 10 s, 1 never began, ")


def test_jobs_that_never_ended_are_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    fine = line(1, 1, 2)
    stuck = msgspec.structs.replace(
        fine, result=msgspec.structs.replace(fine.result, endings={"succeeded": 1, "waiting": 3, "refused": 1}, jobs=5)
    )
    show_results("", [fine])
    assert capsys.readouterr().err == ""
    show_results("", [fine, stuck])
    assert "of 7 jobs 3 still waited and 1 were refused by the broker" in capsys.readouterr().err


def test_the_bar_tells_virtual_time_waits_cold_starts_and_gigabytes() -> None:
    assert live_summary(90_061_000, waited(1, 30)) == "day 1 01:01, 50.0% began within 10 s, 2 cold, 4 GB"
    assert live_summary(0, waited()) == "day 0 00:00, 0 cold, 0 GB"


def test_the_bar_goes_from_run_to_run() -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    columns = (TextColumn("{task.description} {task.fields[live]}"),)
    with Bar(*columns, console=console, auto_refresh=False) as bar:
        show = _Bar(bar, 2)
        show.prepares(1, RunKey(7, "north-star"))
        (task,) = bar.tasks
        assert (task.description, task.total, task.fields["live"]) == (
            "1/2 north-star, seed 7",
            None,
            "looks at its jobs",
        )
        show.begins(10, waited(1))
        show.goes(Progress(now_ms=3_600_000, submitted=6, ended=4, waiting=1))
        (task,) = bar.tasks
        assert (task.completed, task.total) == (4, 10)
        assert task.fields["live"].startswith("day 0 01:00, 100.0% began")
        show.ends(line(7, 1, 2).result)
        show.prepares(2, RunKey(8, "north-star"))
    assert "1/2 north-star, seed 7: 2 jobs, 100.0% of them began within 10 s" in console.export_text()


def test_nothing_of_a_run_is_lost_on_the_way_through_a_file() -> None:
    one = line(1, 1, 30)
    assert msgspec.json.decode(msgspec.json.encode(one), type=RunLine) == one
