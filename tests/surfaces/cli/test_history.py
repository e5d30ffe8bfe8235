"""`northstar history`, `export` and `costs` on a broker that runs, as a user has them."""

from __future__ import annotations

import csv
import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from northstar.broker.cost_reports import report_of
from northstar.domain.budgets import FLEET, BudgetNow
from northstar.domain.machine_time import Bill
from northstar.simulation.workload.own_jobs import OwnJobs
from northstar.simulation.workload.own_trace import traced_jobs
from northstar.store.history import Attempt, Costs
from northstar.surfaces.attempt_csv import header, lines
from northstar.surfaces.cli.costs import By, _show, _show_budgets
from northstar.surfaces.cli.history import COLUMNS, attempt_cells
from northstar.surfaces.cli.new_file import FileUnwritable, NewFile
from tests.northstar_command import Northstar, eventually


@pytest.fixture(scope="module")
def ran(running: Northstar) -> Northstar:
    """Two jobs have run, and are in the history."""
    jobs = [{"id": name, "service": "copy", "user": "u7", "payload": {"text": "hi"}} for name in ("good-1", "good-2")]
    running.good("submit", "-", "--wait", stdin=json.dumps(jobs))
    for job in jobs:
        eventually(partial(attempts_of, running, str(job["id"])), what=f"{job} is in the history", pause_s=0.1)
    return running


def attempts_of(northstar: Northstar, job: str) -> Any:
    return northstar.good("history", "--job", job)["attempts"]


def test_attempts_are_listed_with_what_they_took(ran: Northstar) -> None:
    (one,) = attempts_of(ran, "good-1")
    assert (one["outcome"], one["machine"], one["service"], one["claim"]) == ("succeeded", "local", "copy", 1)
    assert (one["user"], one["running_s"] > 0) == ("u7", True)
    shown = ran.run("history", "--job", "good-1").out
    assert "succeeded" in shown
    assert "local" in shown


def test_jobs_are_listed_too(ran: Northstar) -> None:
    found = ran.good("history", "--jobs", "--job", "good-2")["jobs"]
    assert [(job["job_id"], job["status"]) for job in found] == [("good-2", "succeeded")]
    assert "good-2" in ran.run("history", "--jobs").out


def test_pages_go_on_where_the_one_before_ended(ran: Northstar) -> None:
    first = ran.good("history", "--count", "1")
    second = ran.good("history", "--count", "1", "--after", first["after"])
    assert first["attempts"][0]["job_id"] != second["attempts"][0]["job_id"]
    assert f"more: add --after {first['after']}" in ran.run("history", "--count", "1").out


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ("--outcome", "bored"),
            "NS_HISTORY_FILTER_INVALID: the history cannot be asked like that: no attempt ends as",
        ),
        (("--jobs", "--outcome", "bored"), "NS_HISTORY_FILTER_INVALID: .*no job ends as"),
        (("--jobs", "--model", "x"), "NS_HISTORY_FILTER_INVALID: .*models are known of attempts only"),
        (("--since", "soon"), "NS_MOMENT_INVALID: 'soon' is no point in time; write how long ago"),
        (("--after", "x"), "NS_HISTORY_QUERY_INVALID: .*no cursor"),
    ],
)
def test_what_cannot_be_asked_is_said(ran: Northstar, options: tuple[str, ...], sentence: str) -> None:
    answer = ran.run("history", *options)
    assert answer.code == 2
    assert re.search(sentence, answer.err), answer.err


def test_an_export_is_whole_and_replaces_nothing_without_being_told(ran: Northstar, tmp_path: Path) -> None:
    """Issue: "`northstar export` (the CSV that the simulator reads)"."""
    out = tmp_path / "attempts.csv"
    answer = ran.run("export", "--since", "1h", "--out", str(out), "--json")
    assert answer.code == 0, answer.err
    rows = list(csv.DictReader(out.read_text(encoding="utf-8").splitlines()))
    assert answer.json == {"file": str(out), "attempts": len(rows), "bytes": out.stat().st_size}
    assert {"good-1"} <= {row["job"] for row in rows}
    assert ran.run("export", "--out", str(out), "--json").err.startswith("NS_CONFIRMATION_NEEDED")
    assert ran.run("export", "--out", str(out), "--yes").code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["attempts.csv"]


def test_an_export_for_a_simulation_is_read_as_jobs(ran: Northstar, tmp_path: Path) -> None:
    """Issue: "a documented CSV of the user's own history (`northstar export` writes it from a running system)"."""
    out = tmp_path / "mine.csv"
    answer = ran.run("export", "--for", "simulation", "--since", "1h", "--out", str(out), "--json")
    assert answer.code == 0, answer.err
    traced = list(traced_jobs(out))
    assert answer.json == {"file": str(out), "jobs": len(traced), "bytes": out.stat().st_size}
    assert [one.submitted_s for one in traced] == sorted(one.submitted_s for one in traced)
    mine = [one for one in traced if one.user == "u7"]
    assert [(one.service, one.outcome, (one.ran_s or 0) > 0) for one in mine] == [("copy", "succeeded", True)] * 2
    jobs = list(OwnJobs(traced))
    assert {"u7"} <= {job.request.user for job in jobs}
    # What people wrote stays where it is.
    assert "hi" not in out.read_text(encoding="utf-8").split(",")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.csv"]


def test_an_export_to_a_place_that_is_not_there_leaves_nothing(ran: Northstar, tmp_path: Path) -> None:
    answer = ran.run("export", "--out", str(tmp_path / "none" / "attempts.csv"))
    assert (answer.code, answer.err.split(":")[0]) == (4, "NS_FILE_UNWRITABLE")
    assert "nothing is left of it" in answer.err


def break_off(out: Path) -> None:
    with NewFile(out) as file:
        file.write("half")
        raise KeyboardInterrupt


def test_a_file_that_is_broken_off_leaves_what_was_there(tmp_path: Path) -> None:
    out = tmp_path / "a.csv"
    out.write_text("before")
    with pytest.raises(KeyboardInterrupt):
        break_off(out)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.csv", "before")]
    with pytest.raises(FileUnwritable, match="cannot be written"), NewFile(tmp_path / "no" / "a.csv"):
        pass


def test_costs_are_told_with_idle_time_apart(ran: Northstar) -> None:
    told = ran.good("costs", "--by", "job", "--since", "1h")
    assert {"good-1", "good-2"} <= {cost["name"] for cost in told["costs"]}
    assert told["machines"] == 1
    assert told["idle"]["machine_hours"] > 0
    # Nobody said a price: then there is none to be told, and it is not 0.
    assert (told["busy"]["usd"], told["idle"]["usd"]) == (None, None)


def test_a_price_that_nobody_said_is_no_free_lunch(capsys: pytest.CaptureFixture[str]) -> None:
    """What has no price is shown as unknown, and the reader is told what to do about it."""
    told = Costs(
        since_ms=0,
        until_ms=3_600_000,
        by=[("ada", Bill(runs=2, hours=1.5, usd=3.0)), (None, Bill(runs=1, hours=1.0, unpriced_h=1.0))],
        busy=Bill(runs=3, hours=2.5, usd=3.0, unpriced_h=1.0),
        idle=Bill(hours=0.5, usd=1.0),
        machines=2,
    )
    _show(told, by=By.TENANT)
    shown = " ".join(capsys.readouterr().out.split())
    assert "ada 2 1.500 3.0000 -" in shown
    assert "- 1 1.000 unknown 1.000" in shown
    assert "idle - 0.500 1.0000 -" in shown
    assert "set price_usd_per_hour of each machine" in shown
    assert report_of(told, by="tenant").costs[1].usd is None


def test_budgets_are_listed_with_what_is_spent_of_each(capsys: pytest.CaptureFixture[str]) -> None:
    spent = BudgetNow(
        whose="acme", period="day", limit_usd=25.0, spent_usd=26.5, level="stopped", resets_ms=1_767_225_600_000
    )
    fleet = BudgetNow(whose=FLEET, period="month", limit_usd=400.0, spent_usd=100.0, level="within", resets_ms=0)
    _show_budgets((fleet, spent))
    shown = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert shown[1:] == [
        "the fleet month 400.00 100.0000 25% kept -",
        "acme day 25.00 26.5000 106% SPENT 2026-01-01 00:00:00+00:00",
    ]
    _show_budgets(())
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("peak_mb", "shown", "field"), [(10_737, "10737 MB", "10737"), (None, "-", "")])
def test_the_gpu_memory_that_a_run_took_is_shown_and_exported_in_mb(
    peak_mb: int | None, shown: str, field: str
) -> None:
    one = Attempt(
        job_id="a",
        claim=1,
        outcome="succeeded",
        started_ms=0,
        ended_ms=9_000,
        peak_vram_mb=peak_mb,
        epoch=1,
        sequence=1,
    )
    assert dict(zip(COLUMNS, attempt_cells(one), strict=True))["VRAM"] == shown
    (row,) = csv.DictReader((header() + lines([one])).splitlines())
    assert row["peak_vram_mb"] == field
