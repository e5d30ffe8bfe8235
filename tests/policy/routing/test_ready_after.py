"""How long a lane's job must have waited before a machine without its models may take it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from northstar.policy.routing.ready_after import ASSUMED_BYTES_PER_S, PatienceRule, missing_bytes, ready_after_ms
from tests.policy.routing.builders import GB, SDXL

RULE = PatienceRule()


def patience_ms(**changes: Any) -> int:
    fields: dict[str, Any] = {
        "anchors": SDXL,
        "held": {},
        "bytes_per_s": GB,
        "unfinished": 0,
        "better": 1,
        "rule": RULE,
    }
    return ready_after_ms(**fields | changes)


def test_work_without_models_is_ready_at_once_anywhere() -> None:
    assert patience_ms(anchors=()) == 0


def test_a_machine_that_has_everything_in_memory_may_take_it_at_once() -> None:
    assert patience_ms(held={"sdxl": "resident"}) == 0


def test_where_no_machine_is_better_waiting_would_be_vain() -> None:
    assert patience_ms(better=0) == 0
    assert patience_ms(better=0, held={"sdxl": "disk"}) == 0


def test_patience_is_the_time_that_the_fetch_would_take() -> None:
    assert patience_ms() == 6_000
    assert patience_ms(bytes_per_s=2 * GB) == 3_000


def test_only_what_is_missing_counts() -> None:
    anchors = (*SDXL, ("refiner", 2 * GB))
    assert missing_bytes(anchors, {"sdxl": "disk"}) == 2 * GB
    assert patience_ms(anchors=anchors, held={"sdxl": "disk"}) == 2_000


def test_a_model_on_disk_costs_the_time_to_load_it() -> None:
    assert patience_ms(held={"sdxl": "disk"}) == RULE.load_ms


def test_a_rate_that_was_not_measured_is_assumed() -> None:
    assert patience_ms(anchors=(("lora-base", int(ASSUMED_BYTES_PER_S)),), bytes_per_s=0) == 1_000


def test_patience_has_an_end_however_large_the_model() -> None:
    assert patience_ms(anchors=(("giant", 10_000 * GB),)) == RULE.cap_ms


@pytest.mark.parametrize(("unfinished", "better", "expected_ms"), [(1, 1, 3_000), (5, 1, 1_000), (5, 5, 3_000)])
def test_a_queue_before_the_better_machines_makes_the_own_fetch_pay_sooner(
    unfinished: int, better: int, expected_ms: int
) -> None:
    assert patience_ms(unfinished=unfinished, better=better) == expected_ms


@given(
    size_bytes=st.integers(0, 10**13),
    bytes_per_s=st.floats(0, 1e11, allow_nan=False),
    unfinished=st.integers(0, 10**6),
    better=st.integers(0, 10**4),
)
def test_patience_is_never_negative_and_never_above_its_cap(
    size_bytes: int, bytes_per_s: float, unfinished: int, better: int
) -> None:
    given_ms = patience_ms(anchors=(("m", size_bytes),), bytes_per_s=bytes_per_s, unfinished=unfinished, better=better)
    assert 0 <= given_ms <= RULE.cap_ms
