"""The list of jobs: what a person sees at a glance, on a terminal of a hundred columns."""

from __future__ import annotations

import pytest

from northstar.domain.jobs import JobBody, JobStatus, JobView
from northstar.surfaces.cli.job_table import job_table, same_of_all
from northstar.surfaces.cli.printing import print_table

ID = "job_f0a1b2c3d4e5f60718293a4b5c"


def view(
    job_id: str = ID,
    *,
    status: JobStatus = JobStatus.RUNNING,
    tenant: str = "default",
    priority: int = 50,
    attempts: int = 0,
    recoveries: int = 0,
    pool: str = "standard-multi-modal",
) -> JobView:
    return JobView(
        id=job_id, status=status, tenant=tenant, priority=priority, attempts=attempts, max_attempts=3, recoveries=recoveries,
        submitted_ms=1_000, started_ms=0, finished_ms=0, due_ms=0, machine="painter-1", lane_key="",
        body=JobBody(service="picture", payload={}, pool=pool),
    )  # fmt: skip


def test_every_job_says_its_pool_and_how_old_it_is() -> None:
    columns, (row,) = job_table([view(pool="heavy")], now_ms=66_000)
    assert columns == ("ID", "STATUS", "POOL", "SERVICE", "MACHINE", "AGE")
    assert row == (ID, "running", "heavy", "picture", "painter-1", "65 s")


def test_what_is_the_same_of_all_is_said_once_below() -> None:
    assert same_of_all([view(), view("b")]) == "all of them: tenant default, priority 50"
    assert same_of_all([view(attempts=1)]) == "it: tenant default, priority 50, 1 of 3 tries failed"
    assert same_of_all([]) == ""


def test_what_tells_jobs_apart_has_a_column() -> None:
    jobs = [view(), view("b", tenant="ada", priority=80), view("c", attempts=1, recoveries=2)]
    columns, rows = job_table(jobs, now_ms=66_000)
    assert columns[6:] == ("TENANT", "PRIO", "TROUBLE")
    assert [row[6:] for row in rows] == [
        ("default", "50", "-"),
        ("ada", "80", "-"),
        ("default", "50", "1 of 3 tries failed, 2 machines lost"),
    ]
    assert same_of_all(jobs) == ""


def test_jobs_of_two_tenants_fit_into_a_hundred_columns(capsys: pytest.CaptureFixture[str]) -> None:
    columns, rows = job_table([view(), view("b", tenant="ada", status=JobStatus.SUCCEEDED)], now_ms=3_500_000)
    print_table(columns, rows)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert max(len(line.rstrip()) for line in lines) <= 100
