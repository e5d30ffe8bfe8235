"""How long a lane's job must have waited before a machine without its models may take it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from northstar.policy.routing.links import ASSUMED_BYTES_PER_S, counted_rate
from northstar.policy.routing.ready_after import (
    Better,
    First,
    Lacking,
    PatienceRule,
    lacking_of,
    load_ms,
    patience_ms,
    queue_s,
)
from tests.policy.routing.builders import GB, SDXL

RULE = PatienceRule()
ONE = Better(machines=1, slots=1)
LOAD_MS = load_ms(6 * GB)


def lacking(anchors: tuple[tuple[str, int], ...] = SDXL, **changes: Any) -> Lacking:
    fields: dict[str, Any] = {"held": {}, "fetching": {}, "now_ms": 1_000_000}
    return lacking_of(anchors, **fields | changes)


def cost_ms(bytes_per_s: float = GB, **changes: Any) -> float:
    return lacking(**changes).patience_cost_ms(bytes_per_s)


def start_ms(bytes_per_s: float = GB, **changes: Any) -> float:
    return lacking(**changes).start_ms(bytes_per_s)


def patience(own_ms: float = 6_000, **changes: Any) -> int:
    fields: dict[str, Any] = {"waiting": 1, "better": ONE, "run_s": 20.0, "rule": RULE}
    return patience_ms(own_ms, **fields | changes)


def test_work_without_models_costs_nothing_anywhere() -> None:
    assert cost_ms(anchors=()) == 0


def test_what_is_in_memory_costs_nothing() -> None:
    assert cost_ms(held={"sdxl": "resident"}) == 0


def test_a_missing_model_costs_its_fetch_over_the_machines_link() -> None:
    assert cost_ms() == 6_000
    assert cost_ms(bytes_per_s=GB / 2) == 12_000


def test_only_what_is_missing_counts() -> None:
    assert cost_ms(anchors=(*SDXL, ("refiner", 2 * GB)), held={"sdxl": "disk"}) == 2_000


def test_a_model_on_disk_costs_the_time_to_load_it() -> None:
    assert cost_ms(held={"sdxl": "disk"}) == LOAD_MS


def test_of_a_fetch_in_flight_what_is_left_counts() -> None:
    assert cost_ms(fetching={"sdxl": 1_002_500}) == 2_500
    assert cost_ms(fetching={"sdxl": 999_000}) == 0


def test_a_rate_that_was_not_measured_is_assumed() -> None:
    assert cost_ms(anchors=(("base", int(ASSUMED_BYTES_PER_S)),), bytes_per_s=0) == pytest.approx(
        1_000 * ASSUMED_BYTES_PER_S / counted_rate(0)
    )


def test_a_machine_can_start_when_all_is_fetched_and_then_loaded() -> None:
    fetch_ms = 1_000 * 6 * GB / counted_rate(GB)
    both = (*SDXL, ("refiner", 2 * GB))
    assert start_ms() == fetch_ms + LOAD_MS
    assert start_ms(fetching={"sdxl": 1_002_500}) == 2_500 + LOAD_MS
    assert start_ms(anchors=both, held={"sdxl": "disk"}) == fetch_ms / 3 + load_ms(8 * GB)
    assert start_ms(anchors=both, held={"sdxl": "resident"}) == fetch_ms / 3 + load_ms(2 * GB)


def test_links_that_are_measured_a_little_apart_count_alike_there_and_a_boast_is_cut() -> None:
    assert start_ms(bytes_per_s=0.9 * GB) == start_ms(bytes_per_s=GB)
    assert start_ms(bytes_per_s=1_000 * GB) == start_ms(bytes_per_s=1.25 * GB)


def test_where_no_machine_is_better_waiting_would_be_vain() -> None:
    assert patience(better=Better()) == 0


def test_a_job_is_left_to_the_holders_for_half_of_the_own_fetch() -> None:
    assert patience(6_000) == 3_000


def test_what_holders_must_load_more_than_this_machine_counts_for_nothing() -> None:
    on_disk = Better(1, 1, 0, (First(load_ms=4_000),))
    assert patience(6_000, better=on_disk, loads_ms=4_000) == patience(6_000, better=on_disk, loads_ms=5_000) == 3_000
    assert patience(6_000, better=on_disk) == 1_000


def test_no_more_than_the_cap_counts_however_large_the_model() -> None:
    assert patience(3_600_000) == RULE.share * RULE.cap_ms


def test_what_a_faster_gpu_makes_up_for_counts_for_nothing() -> None:
    """Its run takes 15 s, and that of the holder 20 s."""
    assert patience(10_000, pace=0.75) == 2_500
    assert patience(5_000, pace=0.75) == 0


def test_what_a_faster_gpu_makes_up_for_is_taken_from_the_whole_fetch_and_not_from_what_the_cap_leaves_of_it() -> None:
    """Its run takes 36 s less, and its fetch 832 s: the holder has the job done first by far."""
    assert patience(832_000, run_s=120.0, pace=0.7) == RULE.share * RULE.cap_ms


def test_of_better_machines_that_one_counts_which_has_the_job_done_first() -> None:
    """A fast one that begins in 50 s, a slow one that begins at once: which is first is a matter of the run."""
    better = Better(2, 2, 0, (First(1.0, 50_000), First(3.0)))
    assert patience(40_000, better=better, run_s=10.0) == 10_000  # 20 s of 40 are made up for beside the slow one
    assert patience(80_000, better=better, run_s=60.0) == 0  # the fast one has its model after 50 s, more than the cap
    assert patience(15_000, better=better, run_s=10.0) == 0


def test_once_the_holders_are_free_later_than_the_own_fetch_takes_it_is_not_left_to_them() -> None:
    busy = Better(machines=1, slots=1, used=1)
    assert patience(20_001, better=busy, run_s=20.0) == 10_000
    assert patience(20_000, better=busy, run_s=20.0) == 0


@pytest.mark.parametrize(("run_s", "expected_ms"), [(0.5, 3_000), (1.0, 0)])
def test_those_that_wait_for_the_holders_already_are_counted_in_the_time_that_they_take(
    run_s: float, expected_ms: int
) -> None:
    """Eight jobs before one holder: four seconds of short work are worth waiting for, eight are not."""
    assert patience(6_000, waiting=8, better=Better(machines=1, slots=1, used=0), run_s=run_s) == expected_ms


@given(
    own_ms=st.floats(0, 1e8),
    pace=st.floats(0.01, 100),
    waiting=st.integers(0, 10**6),
    slots=st.integers(0, 10**4),
    used=st.integers(0, 10**4),
    run_s=st.floats(0, 1e5),
)
def test_patience_is_never_negative_and_never_above_its_share_of_the_cap(
    *, own_ms: float, pace: float, waiting: int, slots: int, used: int, run_s: float
) -> None:
    given_ms = patience(own_ms, waiting=waiting, better=Better(1, slots, min(used, slots)), run_s=run_s, pace=pace)
    assert 0 <= given_ms <= RULE.share * RULE.cap_ms


@given(waiting=st.integers(0, 1_000), used=st.integers(0, 8), run_s=st.floats(0.1, 1e3))
def test_the_queue_before_the_holders_grows_with_those_that_wait_and_falls_with_slots(
    waiting: int, used: int, run_s: float
) -> None:
    now = queue_s(waiting, Better(1, 8, used), run_s=run_s)
    assert queue_s(waiting + 1, Better(1, 8, used), run_s=run_s) >= now
    assert queue_s(waiting, Better(2, 9, used), run_s=run_s) <= now


def test_links_that_count_alike_leave_jobs_to_holders_for_equally_long() -> None:
    """Else the machine whose link was measured a little faster than the others would have every fetch."""
    assert {cost_ms(bytes_per_s=rate) for rate in (106e6, 118e6, 125e6, 147e6)} == {48_000.0}
    assert cost_ms(bytes_per_s=100e6) > 48_000
