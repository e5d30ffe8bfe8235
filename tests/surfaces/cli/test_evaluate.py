"""`northstar evaluate`: the scorecard for people, for programs, and as a page; two of them side by side; files that are none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from northstar.evaluation.all_targets import FIGURES
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


def test_without_results_every_figure_is_there_and_says_that_it_is_not_measured(northstar: Northstar) -> None:
    answer = northstar.run("evaluate")
    assert answer.out.splitlines()[0] == f"nothing was run: 0 pass, 0 short, {len(FIGURES)} figures not measured"
    assert all(any(line.startswith(f"{name} ") for line in answer.out.splitlines()) for name in FIGURES)
    assert answer.out.count("not measured") == len(FIGURES) + 1


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
        ([nowhere], "NS_RESULTS_UNREADABLE", 2),
        ([wrong], "NS_UNKNOWN_FIGURE", 2),
        (["--compare", wrong, wrong], "NS_RESULTS_UNREADABLE", 2),
        ([wrong, "--compare", wrong, wrong], "NS_EVALUATION_OPTIONS", 2),
        (["--html", str(tmp_path / "no" / "card.html")], "NS_FILE_UNWRITABLE", 4),
    ):
        answer = northstar.run("evaluate", *arguments)
        assert (answer.code, answer.err.partition(":")[0], answer.out) == (status, code, ""), arguments
