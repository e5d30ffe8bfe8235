"""`northstar evaluate`: the scorecard for people, for programs, and as a page; two of them side by side; files that are none."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from northstar.evaluation.all_targets import FIGURES
from tests.evaluation.agreed_rig import PAIR, TRACE, WHOLE, written
from tests.northstar_command import Northstar


@pytest.fixture(scope="module")
def northstar(tmp_path_factory: pytest.TempPathFactory) -> Northstar:
    """Commands that need no broker."""
    return Northstar(tmp_path_factory.mktemp("evaluate"))


def results(folder: Path, name: str = "results.json", **values: list[float]) -> str:
    """A file of results with these figures."""
    measured = {figure.replace("_", "-"): {"values": some} for figure, some in values.items()}
    (folder / name).write_text(json.dumps({"about": f"a run in {name}", "measured": measured}))
    return str(folder / name)


def scorecard(northstar: Northstar, folder: Path, name: str, **values: list[float]) -> str:
    """A scorecard as `--json` prints it, in a file."""
    told: dict[str, Any] = northstar.run("evaluate", results(folder, f"{name}-results.json", **values), "--json").json
    (folder / f"{name}.json").write_text(json.dumps(told))
    return str(folder / f"{name}.json")


def test_without_results_the_scenarios_are_run_and_every_figure_is_there_measured_or_with_why_not(
    northstar: Northstar, tmp_path: Path
) -> None:
    sets, out = written(tmp_path), tmp_path / "results.json"
    tiny = ("evaluate", "--set", "tiny", "--scenarios", str(sets), "--traces", str(tmp_path / "traces"))
    answer = northstar.run(*tiny, "--out", str(out), "--html", str(tmp_path / "card.html"))
    lines = answer.out.splitlines()
    assert answer.code == 0, answer
    assert lines[0] == f"agreed scenarios, set tiny: 3 pass, 4 short, {len(FIGURES) - 7} figures not measured"
    assert all(any(line.startswith(f"{name} ") for line in lines) for name in FIGURES)
    assert "uptime: nothing kills every process of an installation once an hour and counts its seconds yet" in lines
    said = answer.err.splitlines()
    assert said[0] == "set tiny: 2 scenarios, 3 runs, about 3 s on two cores that do nothing else (pair, whole)"
    assert said[1].startswith("1/3 pair: north-star, seed 1: 12 jobs, 83.3% of them began within 10 s, 2 cold")
    assert said[3].startswith("3/3 whole: uniform-lru, seed 1: 12 jobs, 100.0% of them")
    # What was written down is judged as it was, and nothing of it is run again.
    kept = out.read_bytes()
    assert northstar.run("evaluate", str(out)).out == answer.out
    again = northstar.run(*tiny, "--out", str(out), "--resume")
    assert (again.out, again.err.splitlines()[1:]) == (answer.out, ["in the file already: 3 of 3 runs"])
    assert out.read_bytes() == kept
    assert northstar.run(*tiny, "--out", str(out)).err.startswith("NS_RESULTS_EXIST: ")
    # A further seed of one of them is added to what is there.
    more = northstar.run(*tiny, "--only", "whole", "--seeds", "2", "--out", str(out), "--resume")
    assert more.err.splitlines()[-1].startswith("2/2 whole: uniform-lru, seed 2: ")
    assert len(json.loads(out.read_bytes())["runs"]) == 4
    assert "pair, north-star" in (tmp_path / "card.html").read_text()


def test_ctrl_c_leaves_the_runs_that_are_over_and_says_how_to_go_on(northstar: Northstar, tmp_path: Path) -> None:
    sets, out = written(tmp_path), tmp_path / "results.json"
    with northstar.started(
        *("evaluate", "--set", "tiny", "--scenarios", str(sets), "--traces", str(tmp_path / "traces")),
        *("--seeds", "100", "--out", str(out)),
    ) as process:
        process.until(out.exists, what="a run is over")
        assert process.stop(signal.SIGINT) == 130
    done = len(json.loads(out.read_bytes())["runs"])
    assert 1 <= done < 300
    assert f"interrupted; in {out}: {done} of 300 runs; go on with --resume" in process.words()


def test_figures_of_benchmarks_stand_beside_those_of_runs(northstar: Northstar, tmp_path: Path) -> None:
    figures = tmp_path / "figures"
    figures.mkdir()
    (figures / "gateway.json").write_text(json.dumps({"gateway": {"targets": {"dispatch-p99": [4.0, 12.0, 5.0]}}}))
    answer = northstar.run(
        *("evaluate", "--set", "tiny", "--scenarios", str(written(tmp_path)), "--traces", str(tmp_path / "traces")),
        *("--only", "whole", "--benchmarks", str(figures), "--json"),
    )
    told = {figure["id"]: figure for row in answer.json["rows"] for figure in row["figures"]}
    assert (told["dispatch-p99"]["verdict"], told["dispatch-p99"]["measured"]["median"]) == ("pass", 5.0)
    assert told["claim-growth"]["note"].startswith("`python -m benchmarks claim` measures it")


def test_traces_that_are_not_there_leave_rows_unmeasured_and_are_named(northstar: Northstar, tmp_path: Path) -> None:
    answer = northstar.run("evaluate", "--set", "full", "--only", "pictures-80", "--traces", str(tmp_path))
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(
        f"NS_TRACES_MISSING: nothing can be run: {tmp_path} lacks some of them (gentd26_requests.csv.gz)"
    )
    here = str(tmp_path / "traces" / "own.csv")
    sets = written(tmp_path, pair=PAIR, whole=WHOLE.replace("own.csv", here))
    some = northstar.run("evaluate", "--set", "tiny", "--scenarios", str(sets))
    assert some.err.splitlines()[1] == (
        "not run: pair, since own.csv is not there (--traces DIR or NORTHSTAR_TRACES); not measured therefore: "
        "availability-dynamic, completion, demand-held, dollars-cut, redundant-cut-40, replicas, wait-10s"
    )
    assert some.out.startswith(f"agreed scenarios, set tiny: 0 pass, 0 short, {len(FIGURES)} figures not measured")


def test_a_trace_that_is_wrong_ends_it_with_its_line(northstar: Northstar, tmp_path: Path) -> None:
    sets = written(tmp_path)
    (tmp_path / "traces" / "own.csv").write_text(TRACE.replace(",image,20,", ",picture,20,", 1))
    answer = northstar.run("evaluate", "--set", "tiny", "--scenarios", str(sets), "--traces", str(tmp_path / "traces"))
    assert answer.code == 2
    assert answer.err.splitlines()[-1].startswith("NS_TRACE_ROW_INVALID: ")
    assert "own.csv" in answer.err
    assert "line 2" in answer.err


def test_results_are_judged(northstar: Northstar, tmp_path: Path) -> None:
    file = results(tmp_path, wait_10s=[0.98, 0.976, 0.97], replicas=[1.71])
    answer = northstar.run("evaluate", file)
    lines = {line.split()[0]: line for line in answer.out.splitlines() if line.strip()}
    assert answer.out.startswith("a run in results.json: 1 pass, 1 short, ")
    assert "97.6 % (97 % – 98 %, 3 seeds)" in lines["wait-10s"]
    assert lines["wait-10s"].split()[-1] == "pass"
    assert lines["replicas"].split()[-1] == "short"
    told = northstar.run("evaluate", file, "--json").json
    assert told["totals"] == {"passed": 1, "short": 1, "not_measured": len(FIGURES) - 2}


def test_the_page_is_written_whole_beside_what_is_printed(northstar: Northstar, tmp_path: Path) -> None:
    page = tmp_path / "card.html"
    answer = northstar.run("evaluate", results(tmp_path, wait_10s=[0.98]), "--html", str(page), "--json")
    assert answer.json["totals"]["passed"] == 1
    assert answer.err == f"the page is in {page}\n"
    assert page.read_text().startswith("<!doctype html>")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["card.html", "results.json"]


def test_two_scorecards_are_compared(northstar: Northstar, tmp_path: Path) -> None:
    before = scorecard(northstar, tmp_path, "before", wait_10s=[0.95, 0.96], replicas=[1.5])
    after = scorecard(northstar, tmp_path, "after", wait_10s=[0.98, 0.99], completion=[1.0])
    answer = northstar.run("evaluate", "--compare", before, after)
    lines = {line.split()[0]: line for line in answer.out.splitlines()[2:]}
    assert answer.out.splitlines()[0] == (
        "from a run in before-results.json to a run in after-results.json: 1 figure worse or gone, "
        f"{len(FIGURES) - 3} measured in neither"
    )
    assert lines["wait-10s"].split()[1:] == ["95.5", "%", "98.5", "%", "better", "short", "pass"]
    assert lines["replicas"].split()[1:] == ["1.5", "-", "gone", "pass", "not", "measured"]
    changes = {
        one["id"]: one["change"]
        for one in northstar.run("evaluate", "--compare", before, after, "--json").json["figures"]
    }
    assert (changes["wait-10s"], changes["replicas"], changes["completion"]) == ("better", "gone", "new")


def test_what_cannot_be_read_written_or_meant_is_refused_by_name(northstar: Northstar, tmp_path: Path) -> None:
    nowhere = str(tmp_path / "none.json")
    wrong = results(tmp_path, waits=[0.98])
    for arguments, code, status in (
        (["--set", "smal"], "NS_UNKNOWN_AGREED_SCENARIO", 2),
        (["--only", "pictures"], "NS_UNKNOWN_AGREED_SCENARIO", 2),
        (["--only", "busy", "--out", str(tmp_path / "no" / "results.json")], "NS_FILE_UNWRITABLE", 4),
        (["--resume"], "NS_EVALUATION_OPTIONS", 2),
        ([wrong, "--set", "small"], "NS_EVALUATION_OPTIONS", 2),
        (["--only", "busy", "--benchmarks", nowhere], "NS_RESULTS_UNREADABLE", 2),
        ([nowhere], "NS_RESULTS_UNREADABLE", 2),
        ([wrong], "NS_UNKNOWN_FIGURE", 2),
        (["--compare", wrong, wrong], "NS_RESULTS_UNREADABLE", 2),
        ([wrong, "--compare", wrong, wrong], "NS_EVALUATION_OPTIONS", 2),
        (
            [results(tmp_path, "good.json", wait_10s=[0.9]), "--html", str(tmp_path / "no" / "card.html")],
            "NS_FILE_UNWRITABLE",
            4,
        ),
    ):
        answer = northstar.run("evaluate", *arguments)
        assert (answer.code, answer.err.partition(":")[0], answer.out) == (status, code, ""), arguments
