"""The gate: small simulations stay within the limits that are committed, and deployed code that is made worse does not.

Each run is with the seed of its limits, so the same code comes to the same figures on every machine. `docs/explanation/testing.md` says how new
limits are set.
"""

from __future__ import annotations

from typing import Any

import pytest

from northstar.evaluation.gate.figures import GATE_FIGURES
from northstar.evaluation.gate.limits import RULE, read_limits
from northstar.evaluation.gate.measuring import LIMITS, gate_figures, gate_scenarios
from northstar.evaluation.gate.running import gate_findings
from northstar.evaluation.gate.verdicts import GateFinding, complaint, judged
from northstar.policy.models import eviction
from northstar.policy.routing import candidates, own_work, plan

KNOWN = read_limits(LIMITS)
#: As many seeds as committed limits follow from, at least.
SEEDS = 20


async def found_of(scenario: str) -> list[GateFinding]:
    """Every figure of a scenario beside its limits."""
    limits = KNOWN.scenarios[scenario]
    return judged(scenario, await gate_figures(gate_scenarios([scenario])[scenario], limits.gate_seed), limits)


@pytest.mark.parametrize("scenario", gate_scenarios())
async def test_a_scenario_stays_within_its_limits(scenario: str) -> None:
    said = complaint(await gate_findings([scenario], LIMITS))
    assert not said, f"\n{said}"


def test_limits_follow_from_twenty_runs_of_every_scenario_as_it_is() -> None:
    scenarios = gate_scenarios()
    assert KNOWN.rule == RULE
    assert list(KNOWN.scenarios) == list(scenarios)
    for name, limits in KNOWN.scenarios.items():
        assert limits.digest == scenarios[name].digest(), name
        assert len(limits.seeds) >= SEEDS, name
        assert set(GATE_FIGURES) <= set(limits.figures), name
        assert limits.figures["lost-jobs"].most == 0, name
    six = KNOWN.scenarios["six-pools"].figures
    assert {"wait-10s/fast-lane", "wait-10s/standard"} <= set(six)


def worse(findings: list[GateFinding]) -> set[str]:
    """Figures that left their limits on the bad side, each told."""
    said = complaint(findings)
    found = {one.figure for one in findings if one.verdict == "worse"}
    assert all(f"/{figure} (" in said for figure in found)
    return found


async def test_machines_that_wait_for_no_holder_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: Any, **__: Any) -> int:
        return 0

    for module, name in ((plan, "left_to_ms"), (plan, "patience_ms"), (candidates, "patience_ms")):
        monkeypatch.setattr(module, name, none)
    assert "redundant" in worse(await found_of("small-disks"))


async def test_disks_that_drop_what_is_worth_most_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    worth = eviction.worth
    monkeypatch.setattr(eviction, "worth", lambda one, rule: -worth(one, rule))
    assert {"redundant", "cold-starts", "wait-p95/fast-lane"} <= worse(await found_of("two-machines"))


async def test_machines_that_fetch_while_work_of_their_own_waits_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_work.OwnWork, "held_back", lambda _self, start, _lane, _rule: start)
    assert "redundant" in worse(await found_of("cold-and-behind"))
