"""What is counted while a simulation runs."""

from __future__ import annotations

from typing import Any

import pytest

from northstar.simulation.outcome import JobOutcome
from northstar.simulation.scenario.progress import Tally


def job(submitted_ms: int = 0, wait_s: float | None = 1.0, pool: str = "fast-lane", **more: Any) -> JobOutcome:
    facts: dict[str, Any] = {
        "number": 1,
        "tenant": "t",
        "ending": "succeeded",
        "submitted_ms": submitted_ms,
        "pool": pool,
    }
    if wait_s is not None:
        began_ms = submitted_ms + round(wait_s * 1_000)
        facts |= {"began_ms": began_ms, "ended_ms": began_ms + 5_000, "machine": "m"}
    return JobOutcome(**(facts | more))


def tally(*jobs: JobOutcome, from_ms: int = 0, until_ms: int | None = None) -> Tally:
    found = Tally(from_ms=from_ms, until_ms=until_ms)
    for one in jobs:
        found.add(one)
    return found


def test_waits_are_counted_by_pool_and_all_together() -> None:
    found = tally(
        *(job(wait_s=wait) for wait in (0.0, 2.0, 4.0, 9.999)),
        job(wait_s=10.0, pool="heavy", is_cold=True, fetched_bytes=4_400_000_000),
    ).pools()
    assert [
        (one.pool, one.jobs, one.soon, one.wait_p50_s, one.wait_p95_s, one.cold, one.fetched_gb) for one in found
    ] == [
        ("fast-lane", 4, 1.0, 2.0, 9.999, 0, 0),
        ("heavy", 1, 0.0, 10.0, 10.0, 1, 4.4),
        ("all", 5, 0.8, 4.0, 10.0, 1, 4.4),
    ]


def test_only_jobs_submitted_in_the_window_are_counted() -> None:
    found = tally(*(job(at) for at in (0, 999, 1_000, 1_999, 2_000)), from_ms=1_000, until_ms=2_000)
    assert found.pools()[-1].jobs == 2
    assert found.ended == 5


def test_a_job_that_never_began_has_no_wait_and_is_a_job_all_the_same() -> None:
    found = tally(
        job(), job(wait_s=None, ending="waiting"), job(wait_s=None, ending="refused", pool="", optimal="heavy")
    )
    assert [(one.pool, one.jobs, one.succeeded) for one in found.pools()] == [
        ("fast-lane", 2, 1),
        ("heavy", 1, 0),
        ("all", 3, 1),
    ]
    # It did not begin within 10 s, so it counts against the share.
    assert found.soon == pytest.approx(1 / 3)
    assert [(one.soon, one.never) for one in found.pools()] == [(0.5, 1), (0.0, 1), (0.333333, 2)]
    assert found.pools()[1].wait_p50_s is None


def test_a_job_whose_fetch_failed_waited_for_ever_and_one_that_was_cancelled_for_nothing() -> None:
    found = tally(
        job(),
        job(wait_s=None, ending="failed", machine="m"),
        job(wait_s=None, ending="canceled"),
        job(wait_s=20.0, ending="canceled"),
    )
    (pool, _) = found.pools()
    assert (pool.jobs, pool.soon, pool.never, pool.wait_p95_s) == (4, 0.5, 1, 1.0)
    assert found.soon == 0.5


@pytest.mark.parametrize("jobs", [(), (job(wait_s=None, ending="canceled"),)])
def test_where_nobody_waited_nothing_is_said_of_waits(jobs: tuple[JobOutcome, ...]) -> None:
    assert tally(*jobs).soon is None
    assert tally(*jobs).pools()[-1].soon is None
