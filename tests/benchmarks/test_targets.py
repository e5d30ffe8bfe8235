"""What benchmarks say of targets: values of figures that there are, and nothing where it was not measured."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import __main__ as command
from benchmarks.claim import report as claim_report
from benchmarks.contract import Outcome
from benchmarks.gateway import suite as gateway
from benchmarks.measure import Sample
from benchmarks.peers import report as peers_report
from benchmarks.peers.roster import NORTHSTAR
from benchmarks.soak import suite as soak
from northstar.evaluation.benchmark_figures import benchmark_figures


def test_the_largest_fleet_tells_how_many_machines_one_broker_holds_and_how_long_a_dispatch_takes() -> None:
    rounds: Any = [SimpleNamespace(machines=size, p99_ms=ms) for size, ms in ((500, 1.0), (2_000, 4.0), (2_000, 6.0))]
    assert gateway.targets(rounds) == {"machines-connected": [2_000.0, 2_000.0], "dispatch-p99": [4.0, 6.0]}


def test_only_a_soak_of_an_hour_tells_of_an_hour() -> None:
    def figures(over_s: float) -> Any:
        verdict = SimpleNamespace(lost=("j1",), done_twice=("j2",))
        return SimpleNamespace(plan=SimpleNamespace(jobs=10_000, over_s=over_s), verdict=verdict)

    assert soak.targets(figures(0.0)) == {"lost-jobs": [2.0]}
    assert soak.targets(figures(3_600.0)) == {"lost-jobs": [2.0], "hour-finished": [9_999.0], "hour-lost": [1.0]}


def test_a_claim_grows_by_the_worst_of_machines_and_phases_round_by_round() -> None:
    def taken(*us: float) -> list[Sample[Any]]:
        return [Sample(value=SimpleNamespace(claim_p50_us=one), others_cores=0.0) for one in us]

    small, large = "1,000 in 1,000, hard | all", "1,000,000 in 1,000, hard | all"
    found: Any = SimpleNamespace(
        phases={
            "in time": {small: taken(100, 100), large: taken(110, 120)},
            "overdue": {small: taken(100, 100), large: taken(140, 90)},
        }
    )
    assert claim_report.targets(found) == {"claim-growth": [1.4, 1.2]}
    assert claim_report.targets(SimpleNamespace(phases={"in time": {small: taken(1)}})) == {}  # type: ignore[arg-type]


def test_the_queue_is_held_against_the_fastest_python_queue_of_the_same_rounds() -> None:
    def peer(name: str, *, python: bool = True) -> Any:
        return SimpleNamespace(name=name, python=python)

    def rounds(*per_s: float) -> Any:
        return [SimpleNamespace(drain=SimpleNamespace(value=SimpleNamespace(jobs_per_s=one))) for one in per_s]

    own, slow, fast, other = peer(NORTHSTAR), peer("slow"), peer("fast"), peer("other", python=False)
    taken = {own.name: rounds(20, 30), "slow": rounds(1, 1), "fast": rounds(10, 10), "other": rounds(90, 90)}
    assert peers_report.targets([own, slow, fast, other], taken) == {"queue-ratio": [2.0, 3.0]}
    assert peers_report.targets([own, other], taken) == {}


@pytest.mark.parametrize(("options", "told"), [((), {"hour-lost"}), (("--quick",), set())])
def test_what_a_quick_run_says_of_targets_is_not_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], told: set[str]
) -> None:
    outcome = Outcome(text="", figures={"rounds": 1, "targets": {"hour-lost": [0.0]}})
    monkeypatch.setattr(command, "_measure", lambda _name, _options: outcome)
    command.main(["soak", "--json", str(tmp_path / "soak.json"), *options])
    assert json.loads((tmp_path / "soak.json").read_bytes())["soak"]["rounds"] == 1
    assert set(benchmark_figures(tmp_path)) == told
