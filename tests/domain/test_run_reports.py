"""What a run took, as a machine tells it: bounded, and believed only as far as it is well formed."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from northstar.domain.run_reports import REPORT_BYTES, ModelUsed, RunReport, believed, from_wire, to_wire

_numbers = st.floats() | st.integers(-(10**20), 10**20).map(float)
_models = st.lists(
    st.builds(
        ModelUsed,
        st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), min_size=1, max_size=256),
        st.integers(0, 10**15),
        st.just("0123456789abcdef"),
    ),
    max_size=12,
).map(tuple)


@given(seconds=_numbers, count=st.integers(-5, 10**18), rate=_numbers, models=_models)
def test_whatever_was_measured_travels_within_a_kilobyte_and_is_read_again(
    seconds: float, count: int, rate: float, models: tuple[ModelUsed, ...]
) -> None:
    """Clocks and engines may say anything, infinite and negative times among it."""
    text = to_wire(RunReport(running_s=seconds, fetched_bytes=count, link_bytes_per_s=rate, models=models))
    assert len(text.encode()) <= REPORT_BYTES
    found = from_wire(text)
    assert found is not None
    assert math.isfinite(found.running_s)
    assert found.models == models[: len(found.models)]
    assert believed(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"running_s": -1}',
        '{"running_s": 1e300}',
        '{"running_s": NaN}',
        '{"fetched_bytes": 1.5}',
        '{"models": [["", 1, ""]]}',
        '{"models": [["a\\u0000b", 1, ""]]}',
        '{"models": [["a", 1, "no hash"]]}',
        '{"mood": "' + "x" * REPORT_BYTES + '"}',
        '"\ud800"',
    ],
)
def test_what_is_no_report_is_kept_as_none(text: str) -> None:
    """A stranger's machine may send anything; it costs its own statistics and nothing else."""
    assert from_wire(text) is None
    assert believed(text) == ""


def test_what_nobody_measured_is_left_out() -> None:
    """Most runs fetch nothing and load nothing; a report is then a few bytes."""
    assert to_wire(RunReport(running_s=1.2345678)) == '{"running_s":1.235}'


def test_fields_of_a_newer_machine_are_passed_over() -> None:
    """Versions live side by side."""
    assert believed('{"running_s":2.0,"joules":7}') == '{"running_s":2.0}'
