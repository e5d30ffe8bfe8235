"""How fast a fetch may be, how slow it must not be, and when it is tried again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from northstar.policy.models.pace import Bucket, Patience, take


@given(st.lists(st.integers(1, 1_000), min_size=1, max_size=50), st.floats(1.0, 1e6))
def test_over_any_time_no_more_comes_than_the_rate_and_one_burst_allow(pieces: list[int], rate: float) -> None:
    bucket, now_s = Bucket(0.0, 5.0), 5.0
    for piece in pieces:
        bucket, wait_s = take(bucket, piece, rate=rate, burst_bytes=rate, now_s=now_s)
        now_s += wait_s
    assert sum(pieces) <= rate * (now_s - 5.0) + rate + 1


def test_a_rate_of_zero_is_free_and_forgets_debts() -> None:
    bucket, _ = take(Bucket(), 1_000, rate=1.0, burst_bytes=1.0, now_s=0.0)
    assert take(bucket, 1_000, rate=0.0, burst_bytes=0.0, now_s=0.0) == (Bucket(0.0, 0.0), 0.0)


def test_a_clock_that_goes_backwards_pays_nothing_back() -> None:
    bucket, wait_s = take(Bucket(-100.0, 50.0), 0, rate=10.0, burst_bytes=10.0, now_s=1.0)
    assert (bucket.level, wait_s) == (-100.0, 10.0)


def test_the_deadline_grows_with_the_size() -> None:
    patience = Patience(least_bytes_per_s=100.0, grace_s=10.0)
    assert patience.longest_s(1_000) == 20.0
    assert not patience.is_too_slow(1_000, elapsed_s=20.0)
    assert patience.is_too_slow(1_000, elapsed_s=20.1)
    assert not patience.is_too_slow(0, elapsed_s=9.0)


@given(st.integers(1, 60), st.none() | st.floats(0, 1e9), st.floats(0, 1))
def test_a_pause_is_bounded_whatever_a_source_wishes(attempt: int, wish_s: float | None, jitter: float) -> None:
    patience = Patience()
    assert 0 < patience.pause_s(attempt, wish_s=wish_s, jitter=jitter) <= patience.backoff_cap_s
