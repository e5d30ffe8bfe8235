"""Policies by name, each made anew for a run."""

from __future__ import annotations

import pytest

from northstar.config.pools import packaged_pools
from northstar.simulation.inputs import SimulatedJob
from northstar.simulation.policies.foresight import FarthestUse
from northstar.simulation.scenario.policies import POLICIES, compared


def no_jobs() -> list[SimulatedJob]:
    return []


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_is_called_as_scenarios_call_it(name: str) -> None:
    one, other = (compared(name, no_jobs, seed=1, pools=packaged_pools()).policy for _ in range(2))
    assert one.name == name
    assert one is not other, "what one run remembers, another does not know"


@pytest.mark.parametrize("name", POLICIES)
def test_only_north_star_has_pools(name: str) -> None:
    pools = compared(name, no_jobs, seed=1, pools=packaged_pools()).policy.pools
    assert name.startswith("north-star") == (pools is None), "None: those of the simulation"
    assert pools is None or pools.routing.mode == "uniform"


def test_foresight_reads_the_jobs_once_before_and_once_in_the_run() -> None:
    calls: list[int] = []

    def jobs() -> list[SimulatedJob]:
        calls.append(1)
        return []

    found = compared("uniform-lru-belady", jobs, seed=1, pools=packaged_pools())
    assert isinstance(found.policy, FarthestUse)
    assert list(found.jobs) == []
    assert len(calls) == 2
