"""A day begins at 12:00 of the trace's clock; evaluation takes the last days, and what is before them warms the fleet up."""

from __future__ import annotations

from pathlib import Path

import pytest

from northstar.simulation.workload.gentd26 import picture_requests
from northstar.simulation.workload.picture_jobs import picture_jobs
from northstar.simulation.workload.scaling import compressed
from northstar.simulation.workload.service_days import DAY_MS, Window, cut, days_of, last_days, whole_days
from tests.simulation.workload.jobs import a_job, told
from tests.simulation.workload.rows import a_picture, pictures


def test_a_simulation_begins_at_noon_before_its_first_request(tmp_path: Path) -> None:
    rows = (a_picture("2030-01-02 11:59:59"), a_picture("2030-01-02 12:00:00"))
    first, second = picture_jobs(picture_requests(pictures(tmp_path / "trace.csv", *rows)))
    assert (first.at_ms, second.at_ms) == (DAY_MS - 1_000, DAY_MS)


def test_the_last_days_are_whole_days() -> None:
    """Targets: "a day starts at 12:00 trace time (the dead hour)", "evaluation window its last 5 service days"."""
    last_at_ms = 16 * DAY_MS + 70_000_000
    assert (whole_days(last_at_ms), last_days(last_at_ms)) == (17, Window(12 * DAY_MS, 17 * DAY_MS))
    assert last_days(DAY_MS - 1, 1) == days_of(0, 1)
    with pytest.raises(ValueError, match="has 1 service days"):
        last_days(DAY_MS - 1)
    with pytest.raises(ValueError, match="begins with day 0"):
        days_of(-1, 2)


def test_a_window_is_cut_with_its_first_moment_and_without_its_last() -> None:
    jobs = [a_job(at_ms) for at_ms in (0, DAY_MS - 1, DAY_MS, 2 * DAY_MS - 1, 2 * DAY_MS)]
    window = days_of(1, 1)
    assert [job.at_ms for job in cut(jobs, window)] == [0, DAY_MS - 1]
    assert [window.holds(job.at_ms) for job in jobs] == [False, False, True, True, False]


def test_a_window_follows_compressed_time() -> None:
    jobs = [a_job(at_ms) for at_ms in range(0, 4 * DAY_MS, DAY_MS // 8)]
    there = [job.at_ms for job in jobs if days_of(2, 1).holds(job.at_ms)]
    inside = [job.at_ms for job in compressed(jobs, 4) if days_of(2, 1).faster(4).holds(job.at_ms)]
    assert inside == [at_ms // 4 for at_ms in there]


def test_cutting_reads_no_further_than_the_window() -> None:
    def endless() -> object:
        yield a_job(0)
        yield a_job(DAY_MS)
        raise AssertionError("read beyond the window")

    assert told(list(cut(endless(), days_of(0, 1)))) == [(0, "ada")]  # type: ignore[arg-type]
