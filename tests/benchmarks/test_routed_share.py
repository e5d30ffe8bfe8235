"""The share routed rightly: what counts as right, strictly and with tolerance."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import routed_share
from benchmarks.duration_trace import Request


def request(ran_s: float) -> Request:
    return Request(at_s=0.0, ran_s=ran_s, kind="TXT_2_IMG", user="u", model="m", steps=30, images=1, shape="30|1")


@pytest.mark.parametrize(
    ("foretold", "ran_s", "strict", "tolerant"),
    [
        (20.0, 29.0, 1.0, 1.0),
        (20.0, 36.0, 0.0, 1.0),
        (20.0, 38.0, 0.0, 0.0),
        (40.0, 23.0, 0.0, 1.0),
        (40.0, 22.0, 0.0, 0.0),
    ],
)
def test_a_pool_is_right_with_tolerance_up_to_a_quarter_beyond_its_borders(
    foretold: float, ran_s: float, strict: float, tolerant: float
) -> None:
    """Fast Lane ends at 30 s: 36 s is near, 38 s is not; 23 s is near from above, 22 s is not."""
    found = routed_share.share([request(ran_s)], [foretold])
    assert (found.strict, found.tolerant) == (strict, tolerant)


def test_a_short_picture_is_never_lightnings_so_foretelling_four_seconds_is_no_miss() -> None:
    """The matrix and the bands differ there, and both are told."""
    found = routed_share.share([request(1.0)], [4.0])
    assert (found.strict, found.band_strict) == (1.0, 0.0)


def test_without_a_trace_one_is_made_up_and_the_estimator_beats_the_median() -> None:
    outcome = routed_share.measured(None, quick=True)
    assert outcome.failures == ()
    assert outcome.figures["online estimator"]["strict"] > outcome.figures["global median"]["strict"]
    assert "its figures are no goal's" in outcome.text


def test_a_folder_without_the_trace_is_a_failure_that_says_what_is_missing(tmp_path: Path) -> None:
    assert "--traces" in routed_share.measured(tmp_path, quick=True).failures[0]
