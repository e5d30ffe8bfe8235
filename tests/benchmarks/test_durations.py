"""The evaluation of duration estimates: causal, and honest about what it has."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from benchmarks import durations
from benchmarks.contract import Options
from benchmarks.duration_trace import made_up_trace
from northstar.evaluation import duration_replay


def test_without_a_trace_it_evaluates_one_that_it_makes_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The estimator beats both medians there, and its interval holds what it says."""
    monkeypatch.delenv("NORTHSTAR_TRACES", raising=False)
    outcome = durations.run(Options(rounds=1, quick=True))
    figures = outcome.figures
    assert outcome.failures == ()
    assert figures["online estimator"]["wape"] < figures["median by model"]["wape"] < figures["global median"]["wape"]
    assert 0.7 < figures["coverage"] < 0.9


def test_a_folder_without_the_trace_is_a_failure_that_says_what_is_missing(tmp_path: Path) -> None:
    """Bad input is named."""
    assert "--traces" in durations.run(Options(rounds=1, traces=tmp_path)).failures[0]


def test_what_has_not_finished_at_a_submit_changes_no_estimate() -> None:
    """The times of the second half do not reach the first."""
    trace = made_up_trace(seed=1, a_day=20)
    half = len(trace) // 2
    later = [msgspec.structs.replace(one, ran_s=one.ran_s * 9) for one in trace[half:]]
    assert (
        duration_replay.foretell(trace)[0][: half + 1] == duration_replay.foretell(trace[:half] + later)[0][: half + 1]
    )


def test_a_foretold_band_is_right_with_tolerance_up_to_a_quarter_beyond_its_borders() -> None:
    """30 s is the border: 36 s is near, 38 s is not."""
    assert duration_replay.score([20.0, 20.0], [36.0, 38.0]).band_tolerant == 0.5
    assert duration_replay.score([20.0, 20.0], [29.0, 38.0]).band == 0.5
