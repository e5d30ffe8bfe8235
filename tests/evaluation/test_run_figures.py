"""A run in numbers, by hand."""

from __future__ import annotations

import pytest

from northstar.evaluation.errors import NothingToMeasure
from northstar.evaluation.run_figures import CURVE_AT, NEVER_S, summary_of
from tests.evaluation.runs import GB, HOUR, fetch, job, machine, run


def test_only_what_comes_within_the_window_counts() -> None:
    jobs = [job(0, wait_s=99.0), job(100, wait_s=1.0), job(200, wait_s=30.0), job(2_000)]
    found = summary_of(run(jobs, from_ms=100_000, until_ms=1_000_000))
    assert (found.jobs, found.figures["wait-10s"]) == (2, 0.5)


def test_what_was_fetched_before_the_window_is_known_and_what_is_baked_is_no_download() -> None:
    fetches = (
        fetch(0, "a", 4.0),
        fetch(200, "a", 4.0),  # again
        fetch(300, "b", 2.0),
        fetch(400, "b", 2.0, baked=True),
        fetch(500, "b", 2.0),  # again
    )
    found = summary_of(run([job(200)], from_ms=100_000, fetches=fetches))
    assert (found.fetched_bytes, found.redundant_bytes, found.baked_bytes) == (8 * GB, 6 * GB, 2 * GB)


def test_machines_cost_what_of_their_time_lies_within_the_window() -> None:
    # From .5 h to 1.5 h of a run whose window ends at 1 h: half an hour at $0.40. The other is there all the time.
    found = summary_of(run([job(0)], machines=(machine(from_h=0.5, until_h=1.5), machine("m2"))))
    assert found.machine_hours == 1.5
    assert found.usd == pytest.approx(0.6)
    assert found.machines_on[0] == (round(0.5 / 60, 4), 1.0)
    assert found.machines_on[-1] == (round(59.5 / 60, 4), 2.0)
    # Half an hour busy each, of 1.5 h.
    assert found.figures["utilisation"] == pytest.approx(1 / 1.5)


def test_the_mean_of_the_curve_of_machines_is_their_hours() -> None:
    lives = tuple(machine(f"m{number}", from_h=number / 7, until_h=number / 7 + 0.31) for number in range(6))
    found = summary_of(run([job(0)], machines=lives, until_ms=HOUR * 3))
    mean = sum(count for _, count in found.machines_on) / len(found.machines_on)
    assert 3 * mean == pytest.approx(6 * 0.31, rel=1e-3)


def test_waits_are_told_by_pool_and_one_that_never_began_waits_for_ever() -> None:
    jobs = [job(0, wait_s=float(number), was_cold=number > 17) for number in range(1, 20)]
    found = summary_of(run([*jobs, job(5, wait_s=None), job(6, wait_s=2.0, pool="heavy")]))
    fast, heavy = found.pools
    assert (fast.pool, fast.jobs, fast.below_10_s, fast.cold_starts) == ("fast-lane", 20, 9 / 20, 2)
    assert (heavy.pool, heavy.jobs) == ("heavy", 1)
    curve = dict(zip(CURVE_AT, fast.curve_s, strict=True))
    assert (curve[0.5], curve[0.95], curve[1.0]) == (10.0, 19.0, None)


def test_a_result_that_never_came_makes_the_figure_short_and_not_missing() -> None:
    jobs = [job(number, run_s=20.0) for number in range(18)] + [job(20, wait_s=None), job(21, ended="failed")]
    found = summary_of(run(jobs)).figures
    # 18 of 20 have a result: 90 % after 20 s, 95 % never.
    assert (found["response-p90"], found["fast-lane-p95"]) == (20.0, NEVER_S)
    assert found["overhead-p90"] == 0.0


def test_cancelled_jobs_have_no_result_to_wait_for_and_the_work_that_fails_itself_is_not_ours() -> None:
    jobs = [job(0), job(1, ended="canceled"), job(2, ended="failed", fails_itself=True)]
    assert summary_of(run(jobs)).figures["completion"] == 1.0


def test_pools_are_judged_where_the_matrix_said_one() -> None:
    jobs = [job(0, optimal_pool="fast-lane"), job(1, optimal_pool="heavy", tolerated_pools=("fast-lane",)), job(2)]
    found = summary_of(run(jobs)).figures
    assert (found["optimal-pool-strict"], found["optimal-pool-tolerant"]) == (0.5, 1.0)
    assert "lightning-p95" not in found


def test_a_window_without_jobs_is_refused() -> None:
    with pytest.raises(NothingToMeasure, match="no job of north-star with seed 1 came within the window"):
        summary_of(run([job(0)], from_ms=10_000))


def test_a_job_that_was_cancelled_waited_for_nothing_and_one_that_never_began_for_ever() -> None:
    jobs = [job(0), job(1, wait_s=None), job(2, wait_s=None, ended="canceled"), job(3, wait_s=50.0, ended="canceled")]
    found = summary_of(run(jobs))
    assert (found.jobs, found.figures["wait-10s"]) == (4, 0.5)
    assert [(pool.jobs, pool.below_10_s) for pool in found.pools] == [(2, 0.5)]


def test_where_all_were_cancelled_nothing_is_said_of_waits() -> None:
    found = summary_of(run([job(0, ended="canceled")]))
    assert ("wait-10s" in found.figures, found.pools) == (False, ())
