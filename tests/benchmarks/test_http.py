"""The measurement of the HTTP interface: both are asked, and every figure is there."""

from __future__ import annotations

import pytest

from benchmarks import http
from benchmarks.contract import Options


def test_a_quick_run_asks_the_broker_and_the_framework_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    # What it logs is set for the whole process, and other tests listen to theirs.
    monkeypatch.setattr("northstar.telemetry.configure", lambda **_: None)
    outcome = http.run(Options(rounds=1, quick=True))
    assert outcome.failures == ()
    assert len(outcome.figures["rounds"]) == 8
    assert outcome.text.count("of the framework alone (") == 4
