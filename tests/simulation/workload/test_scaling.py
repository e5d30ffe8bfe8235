"""More work than a trace has: copies of its users, or its time compressed."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from northstar.simulation.workload.scaling import compressed, resampled
from tests.simulation.workload.jobs import a_job, told

HOUR = 3_600_000
#: Users sit for three requests each, one user every two minutes.
JOBS = [a_job(HOUR + user * 120_000 + place * 40_000, f"u{user}") for user in range(200) for place in range(3)]


@pytest.mark.parametrize("factor", [4, 10])
def test_every_user_gets_copies_with_the_same_jobs(factor: int) -> None:
    """Issue: "scaling by resampling users (4x, 10x)"."""
    more = list(resampled(JOBS, factor, seed=1))
    counts = Counter(job.request.user for job in more)
    assert len(more) == factor * len(JOBS)
    assert (len(counts), set(counts.values())) == (factor * 200, {3})
    assert {job.request.user.partition("~")[0] for job in more} == {f"u{user}" for user in range(200)}


def test_a_copy_keeps_its_sitting_together_and_comes_at_its_own_time() -> None:
    copies: dict[str, list[int]] = {}
    for job in resampled(JOBS, 4, seed=1, jitter_s=900):
        copies.setdefault(job.request.user, []).append(job.at_ms)
    assert {(b - a, c - b) for a, b, c in copies.values()} == {(40_000, 40_000)}
    moved = [copies[f"u{user}~{copy}"][0] - copies[f"u{user}"][0] for user in range(200) for copy in (1, 2, 3)]
    assert -900_000 <= min(moved) < -700_000 < 700_000 < max(moved) <= 900_000
    assert len(set(moved)) > 590


def test_resampled_jobs_are_in_order_and_the_same_for_the_same_seed() -> None:
    first = told(list(resampled(JOBS, 4, seed=7)))
    assert all(before[0] <= after[0] for before, after in pairwise(first))
    assert first == told(list(resampled(JOBS, 4, seed=7)))
    assert first != told(list(resampled(JOBS, 4, seed=8)))


def test_a_half_is_half_of_the_users() -> None:
    copies = Counter(job.request.user.partition("~")[0] for job in resampled(JOBS, 2.5, seed=3))
    assert set(copies.values()) == {6, 9}
    assert 80 <= sum(count == 9 for count in copies.values()) <= 120


def test_what_was_not_moved_is_as_it_was_and_nothing_comes_before_the_beginning() -> None:
    assert list(resampled(JOBS, 1, seed=1)) == JOBS
    early = list(resampled([a_job(0, "a"), a_job(5, "")], 20, seed=1))
    assert (min(job.at_ms for job in early), len(early)) == (0, 40)


def test_memory_holds_no_more_than_the_jitter_reaches() -> None:
    """What is given out never lags behind what was read by more than the jitter."""
    read = 0

    def reading() -> object:
        nonlocal read
        for job in JOBS:
            read = job.at_ms
            yield job

    for job in resampled(reading(), 4, seed=1, jitter_s=60):  # type: ignore[arg-type]
        assert read - job.at_ms <= 2 * 60_000 + 120_000


def test_compressed_time_keeps_the_work_as_long_as_it_was() -> None:
    """Reference simulator: time compression c=4."""
    fast = list(compressed(JOBS, 4))
    assert [job.at_ms for job in fast] == [job.at_ms // 4 for job in JOBS]
    assert {job.run_s[""] for job in fast} == {10.0}
    with pytest.raises(ValueError, match="below 1"):
        list(compressed(JOBS, 0.5))
    with pytest.raises(ValueError, match="1 or more"):
        list(resampled(JOBS, 0.5, seed=1))
