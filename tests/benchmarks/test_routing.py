"""The measurement of choices: they are the best ones, and every figure is there."""

from __future__ import annotations

import msgspec
import pytest

from benchmarks import routing
from benchmarks.contract import Options
from benchmarks.routing_jobs import requests


def test_a_quick_run_measures_two_fleets_and_finds_every_choice_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NORTHSTAR_TRACES", raising=False)
    outcome = routing.run(Options(rounds=1, quick=True))
    assert not [failure for failure in outcome.failures if "not the best" in failure]
    assert set(outcome.figures) == {"500", "2000", "grows", "routed rightly"}
    assert set(outcome.figures["500"]["us"]) == {"read", "needs", "estimates", "rest", "machine"}
    assert "goal" in outcome.text


def test_submissions_are_of_all_kinds_and_none_is_seen_twice() -> None:
    """What is measured is not the same payload again and again."""
    found = requests(300, seed=3)
    assert {request.service for request in found} == {"chat", "comfy"}
    assert {"acme", "bank", "clinic"} <= {request.tenant for request in found}
    assert any(request.requires.regions for request in found)
    assert len({msgspec.json.encode(request.payload) for request in found}) > 290
    assert requests(300, seed=3) == found
