"""How long a lane's job must have waited before a machine without its models may take it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from northstar.policy.routing.ready_after import (
    ASSUMED_BYTES_PER_S,
    LOAD_BYTES_PER_S,
    Better,
    PatienceRule,
    holders_wait_s,
    patience_ms,
    start_cost_ms,
)
from tests.policy.routing.builders import GB, SDXL

RULE = PatienceRule()
ONE = Better(machines=1, slots=1)


def cost_ms(**changes: Any) -> float:
    fields: dict[str, Any] = {
        "anchors": SDXL,
        "held": {},
        "bytes_per_s": GB,
        "fetching": {},
        "now_ms": 1_000_000,
        "rule": RULE,
    }
    fields |= changes
    return start_cost_ms(fields.pop("anchors"), **fields)


def patience(own_ms: float = 6_000, **changes: Any) -> int:
    fields: dict[str, Any] = {"waiting": 1, "better": ONE, "run_s": 20.0, "rule": RULE}
    return patience_ms(own_ms, **fields | changes)


def test_work_without_models_costs_nothing_anywhere() -> None:
    assert cost_ms(anchors=()) == 0


def test_what_is_in_memory_costs_nothing() -> None:
    assert cost_ms(held={"sdxl": "resident"}) == 0


def test_a_missing_model_costs_its_fetch_over_the_machines_link() -> None:
    assert cost_ms() == 6_000
    assert cost_ms(bytes_per_s=2 * GB) == 3_000


def test_only_what_is_missing_counts() -> None:
    assert cost_ms(anchors=(*SDXL, ("refiner", 2 * GB)), held={"sdxl": "disk"}) == 2_000


def test_a_model_on_disk_costs_the_time_to_load_it() -> None:
    assert cost_ms(held={"sdxl": "disk"}) == 1_000 * 6 * GB / LOAD_BYTES_PER_S


def test_of_a_fetch_in_flight_what_is_left_counts() -> None:
    assert cost_ms(fetching={"sdxl": 1_002_500}) == 2_500
    assert cost_ms(fetching={"sdxl": 999_000}) == 0


def test_a_rate_that_was_not_measured_is_assumed() -> None:
    assert cost_ms(anchors=(("base", int(ASSUMED_BYTES_PER_S)),), bytes_per_s=0) == 1_000


def test_a_fetch_counts_to_an_end_however_large_the_model() -> None:
    assert cost_ms(anchors=(("giant", 10_000 * GB),)) == RULE.cap_ms


def test_where_no_machine_is_better_waiting_would_be_vain() -> None:
    assert patience(better=Better()) == 0


def test_a_job_is_left_to_the_holders_for_half_of_the_own_fetch() -> None:
    assert patience(6_000) == 3_000


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
    own_ms=st.floats(0, RULE.cap_ms),
    waiting=st.integers(0, 10**6),
    slots=st.integers(0, 10**4),
    used=st.integers(0, 10**4),
    run_s=st.floats(0, 1e5),
)
def test_patience_is_never_negative_and_never_above_its_share_of_the_cap(
    own_ms: float, waiting: int, slots: int, used: int, run_s: float
) -> None:
    given_ms = patience(own_ms, waiting=waiting, better=Better(1, slots, min(used, slots)), run_s=run_s)
    assert 0 <= given_ms <= RULE.share * RULE.cap_ms


@given(waiting=st.integers(0, 1_000), used=st.integers(0, 8), run_s=st.floats(0.1, 1e3))
def test_the_wait_for_the_holders_grows_with_those_that_wait_and_falls_with_slots(
    waiting: int, used: int, run_s: float
) -> None:
    now = holders_wait_s(waiting, Better(1, 8, used), run_s=run_s)
    assert holders_wait_s(waiting + 1, Better(1, 8, used), run_s=run_s) >= now
    assert holders_wait_s(waiting, Better(2, 9, used), run_s=run_s) <= now
