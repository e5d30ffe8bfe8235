"""`northstar validate` as an operator has it: what is kept, what is compared, what is drawn, and exit codes."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from northstar.evaluation.targets import Goal
from northstar.evaluation.validation import weekly
from northstar.evaluation.validation.record import ValidationRecord
from tests.evaluation.validation.records import figure, record
from tests.northstar_command import Northstar

MODEL = '"[{""name"":""x.safetensors"",""kind"":""checkpoint"",""size_bytes"":4000000000}]"'
TRACE = "submitted_s,service,user,modality,steps,models,ran_s\n" + "".join(
    f"{1_733_054_400 + 30 * at},pictures,u{at % 3},image,20,{MODEL},20\n" for at in range(8)
)
SCENARIO = """\
workload:
  sources: [{from: own, trace: mine.csv}]
fleet:
  kinds:
    rtx-4090: {gpu: NVIDIA GeForce RTX 4090, vram_gb: 24, disk_gb: 80, pools: [fast-lane], services: [pictures], price_usd_per_hour: 0.5}
  groups:
    - {name: mine, kind: rtx-4090, count: 1}
"""


@pytest.fixture
def northstar(tmp_path: Path) -> Northstar:
    found = Northstar(tmp_path)
    (tmp_path / "mine.csv").write_text(TRACE)
    (tmp_path / "mine.yaml").write_text(SCENARIO)
    return found


def keep(northstar: Northstar, *records: ValidationRecord) -> None:
    """As if these weeks had been validated."""
    folder = northstar.folder / "validations"
    folder.mkdir(exist_ok=True)
    (folder / "weekly.jsonl").write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in records))


def test_costs_are_measured_kept_and_compared_with_the_months_before(northstar: Northstar) -> None:
    asked = (
        "validate",
        "monthly",
        "--history",
        "validations",
        "--scenario",
        "mine.yaml",
        "--trace",
        "mine.csv",
        "--seeds",
        "1",
    )
    first = northstar.run(*asked, "--html", "monthly.html")
    assert first.code == 0, first
    assert "kept in validations/monthly.jsonl" in first.err
    assert "north-star, 1 machine, seed 1" in first.err
    rows = {line.split()[0]: line.split() for line in first.out.splitlines()[2:]}
    assert rows["hours-per-1000"][-1] == "first"
    assert "0 regressions, beside 0 earlier validations" in first.out
    assert (northstar.folder / "monthly.html").read_text().startswith("<!doctype html>")
    told = northstar.good(*asked, "--price", "rtx-4090=1.5")
    assert (told["earlier"], told["regressions"]) == (1, 0)
    before, after = map(json.loads, (northstar.folder / "validations/monthly.jsonl").read_text().splitlines())
    cost = "dollars-per-1000"
    assert after["figures"][cost]["mean"] == pytest.approx(3 * before["figures"][cost]["mean"], rel=1e-5)
    assert {one["change"] for one in told["changes"]} == {"first"}, "of other prices nothing is compared"


def test_a_regression_is_told_in_a_sentence_and_by_the_exit_code(northstar: Northstar) -> None:
    goal = Goal(most=12.0)
    weeks = [record(day, wait=figure(10.0, 10.1), kept=figure(11.0, 12.9, goal=goal)) for day in (1, 8, 15)]
    keep(northstar, *weeks, record(22, wait=figure(19.0, 19.1), kept=figure(11.1, 13.0, goal=goal)))
    answer = northstar.run("validate", "show", "weekly", "--history", "validations", "--html", "weekly.html")
    assert answer.code == 1, answer
    rows = {line.split()[0]: line for line in answer.out.splitlines()[2:]}
    assert "▁▁▁█" in rows["wait"]
    assert rows["wait"].split()[-1] == "worse"
    assert rows["kept"].endswith("below goal")
    assert "2 figures, 2 regressions, beside 3 earlier validations" in answer.out
    assert answer.err.splitlines() == [
        "the page is in weekly.html",
        "wait (some time): 19.1 s, and 10.1 s before: worse by more than ± 0.283 s, which chance would explain beside 3 earlier values",
        "kept (some time): 12.1 s, and 11.9 s before: it misses its goal of ≤ 12 s, which it met the last time",
    ]
    keep(northstar, *weeks)
    assert northstar.good("validate", "show", "weekly", "--history", "validations")["regressions"] == 0


@pytest.fixture
def broker() -> Iterator[tuple[str, list[int]]]:
    """Something that answers as often as it is asked with the first of these states, and what it is asked for."""
    states = [200]

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(states[0])
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", states
        finally:
            server.shutdown()
            thread.join()


def test_reliability_is_looked_at_kept_and_told(northstar: Northstar, broker: tuple[str, list[int]]) -> None:
    url, states = broker
    asked = ("validate", "reliability", "--history", "validations", "--url", url)
    answer = northstar.run(*asked, "--trace", "mine.csv")
    assert answer.code == 0, answer
    assert "100 %" in answer.out
    states[0] = 503
    down = northstar.run(*asked, "--json")
    assert (down.code, down.json["uptime"], down.json["now"]["why"]) == (1, 0.5, "answered 503")
    (northstar.folder / "mine.csv").write_text("submitted_s,service,ran_s,outcome\n1733054400,pictures,20,failed\n")
    states[0] = 200
    failed = northstar.run(*asked, "--trace", "mine.csv", "--json")
    assert (failed.code, failed.json["errors"]["rate"]) == (1, 1.0)
    assert len((northstar.folder / "validations/reliability.jsonl").read_text().splitlines()) == 3


def test_what_makes_no_sense_is_refused_by_name(northstar: Northstar) -> None:
    keep(northstar, record(1, wait=figure(1.0)))
    with (northstar.folder / "validations/weekly.jsonl").open("a") as file:
        file.write("{}\n")
    history = ("--history", "validations")
    for arguments, code in (
        (("show", "daily", *history), "NS_VALIDATION_OPTIONS"),
        (("show", "monthly", *history), "NS_VALIDATION_OPTIONS"),
        (("show", "weekly", *history), "NS_VALIDATION_HISTORY_UNREADABLE"),
        (("monthly", *history, "--price", "lab"), "NS_VALIDATION_OPTIONS"),
        (("monthly", *history, "--price", "lap=1"), "NS_VALIDATION_IMPOSSIBLE"),
        (("reliability", *history, "--url", "north.example.com"), "NS_VALIDATION_IMPOSSIBLE"),
        (("weekly", *history, "--benchmarks", "measured"), "NS_RESULTS_UNREADABLE"),
    ):
        answer = northstar.run("validate", *arguments)
        assert (answer.code, answer.err.partition(":")[0], answer.out) == (2, code, ""), arguments


def test_the_weeks_figures_are_those_of_the_gate_with_the_spread_of_their_seeds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[object] = []

    def measured(
        names: tuple[str, ...], seeds: range, *, processes: int, tells: object
    ) -> dict[str, dict[int, dict[str, float]]]:
        asked.append((names, tuple(seeds), processes))
        return {name: {seed: {"redundant": 100.0 + seed, "jobs": 5.0} for seed in seeds} for name in names}

    monkeypatch.setattr(weekly, "measured_side_by_side", measured)
    found = weekly.simulated_figures(3, processes=2)
    assert asked == [(("cold-and-behind", "six-pools", "small-disks", "two-machines"), (1, 2, 3), 2)]
    told = found["small-disks/redundant"]
    assert (told.mean, told.sd, told.lowest, told.highest, told.runs, told.worse) == (
        102.0,
        1.0,
        101.0,
        103.0,
        3,
        "more",
    )
    assert told.basis != found["six-pools/redundant"].basis
    assert len(found) == 8


def test_figures_of_benchmarks_have_the_targets_goals(tmp_path: Path) -> None:
    (tmp_path / "claim.json").write_text(json.dumps({"claim": {"targets": {"dispatch-p99": [8.0, 9.0]}, "rounds": 2}}))
    (told,) = weekly.benchmarked_figures(tmp_path).items()
    assert told[0] == "benchmark/dispatch-p99"
    assert (told[1].mean, told[1].worse, told[1].meets_goal) == (8.5, "more", True)
    assert "cores" in told[1].basis


@pytest.mark.long
def test_a_week_is_validated_whole(northstar: Northstar) -> None:
    for regressions in (0, 0):
        answer = northstar.run("validate", "weekly", "--history", "validations", "--seeds", "2", "--json")
        assert answer.json["regressions"] == regressions, answer.err
    assert {one["change"] for one in answer.json["changes"]} == {"same"}


@pytest.mark.long
def test_a_month_of_what_comes_with_north_star_is_validated(northstar: Northstar) -> None:
    told = northstar.good("validate", "monthly", "--history", "validations", "--seeds", "1")
    assert {"hours-cut", "dollars-cut", "redundant-cut", "utilisation"} <= set(told["record"]["figures"])
