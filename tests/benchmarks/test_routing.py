"""The measurement of choices: they are the best ones, and every figure is there."""

from __future__ import annotations

from benchmarks import routing
from benchmarks.contract import Options


def test_a_quick_run_measures_two_fleets_and_finds_every_choice_the_best() -> None:
    outcome = routing.run(Options(rounds=1, quick=True))
    assert not [failure for failure in outcome.failures if "not the best" in failure]
    assert set(outcome.figures) == {"500", "2000", "grows"}
    assert "goal" in outcome.text
