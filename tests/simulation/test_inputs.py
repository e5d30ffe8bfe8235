"""What cannot be simulated is refused with what is wrong about it."""

from __future__ import annotations

import pytest

from northstar.simulation.errors import FleetInvalid, WorkloadUnsorted
from northstar.simulation.inputs import Fault
from northstar.simulation.settings import SimulationSettings
from northstar.simulation.tenant_terms import BudgetNotSimulated
from tests.simulation.rig import in_order, job, life, machine, simulated

TERMS = "[tenants.acme]\nweight = 2\n"


async def test_a_job_before_the_one_that_was_read_before_it_is_named() -> None:
    with pytest.raises(
        WorkloadUnsorted, match="job 3 of the workload comes at 2000 ms, after one that comes at 5000 ms"
    ):
        await simulated([job(1), job(5), job(2)], [machine("m1")])


@pytest.mark.parametrize(
    ("fleet", "faults", "why"),
    [
        ([machine("m1"), machine("m1")], [], "is there twice"),
        ([machine("m1", lives=(life(0, 10), life(5, 20)))], [], "comes at 5000 ms while it is still there"),
        ([machine("m1", lives=(life(0), life(5)))], [], "comes at 5000 ms while it is still there"),
        ([machine("m1", lives=(life(7, 7),))], [], "is gone at 7000 ms before it has come"),
        ([machine("m1")], [Fault(at_ms=0, machine="m2", kind="corrupt")], "has a fault and is not there"),
    ],
)
async def test_a_fleet_that_cannot_be_is_refused(fleet: list[object], faults: list[Fault], why: str) -> None:
    with pytest.raises(FleetInvalid, match=why):
        await simulated([job(1)], fleet, faults=faults)  # type: ignore[arg-type]


async def test_what_the_broker_refuses_costs_others_that_came_at_the_same_moment_nothing() -> None:
    found = await simulated([job(1), job(1, pool="no-such-pool"), job(1)], [machine("m1")])

    assert [one.ending for one in in_order(found)] == ["succeeded", "refused", "succeeded"]
    assert in_order(found)[1].code == "NS_UNKNOWN_WORD"


async def test_a_budget_that_nobody_would_keep_to_is_refused_and_terms_without_one_are_not() -> None:
    with pytest.raises(BudgetNotSimulated, match="gives tenant acme a budget"):
        await simulated(
            [job(1)], [machine("m1")], settings=SimulationSettings(tenants=TERMS + "budget_usd_per_day = 5\n")
        )
    found = await simulated([job(1)], [machine("m1")], settings=SimulationSettings(tenants=TERMS))

    assert found.outcome.endings == {"succeeded": 1}
