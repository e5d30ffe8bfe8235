"""The measurement of plans: both ways give the same answers, and every figure is there."""

from __future__ import annotations

from benchmarks import plan
from benchmarks.contract import Options


def test_a_quick_run_measures_both_ways_and_finds_them_alike() -> None:
    outcome = plan.run(Options(rounds=1, quick=True))
    assert outcome.failures == ()
    assert set(outcome.figures) == {"at once, 300", "at once, 100", "one by one, 100", "ratio"}
    assert "goal" in outcome.text
