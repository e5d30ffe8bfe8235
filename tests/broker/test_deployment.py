"""Models are ordered once for the machines that a job may have, and for those of another pool once more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from northstar.broker.deployment import AGAIN_AFTER_S, Deployer
from northstar.broker.needs import ResolvedRequest
from northstar.broker.routed import Routed
from northstar.domain.decisions import RoutingDecision
from northstar.domain.jobs import JobRequest
from northstar.domain.models import ModelNeed
from northstar.domain.requirements import Requirements
from northstar.policy.routing.snapshot import CellSnapshot, MachineState
from tests.agent.rig import Rig, nonce
from tests.specification.pool_jobs import estimate

MODEL = ModelNeed(name="sdxl.safetensors", sources=("https://x.example/sdxl",), sha256="unknown", size_bytes=6)
ROUTED = Routed(
    resolved=ResolvedRequest(request=JobRequest(service="waits", requires=Requirements(models=(MODEL,)))),
    decision=RoutingDecision(
        pool="standard",
        route="matrix",
        optimal="standard",
        row="",
        because="",
        estimate=estimate(1.0),
    ),
    deploys=True,
)


class Yard:
    """Busy machines of a cell, as a view of a moment ago shows them: none is told to fetch anything."""

    def __init__(self, rig: Rig, *machines: str) -> None:
        self.rig = rig
        self.now_s = 1_000.0
        self.deployer = Deployer(rig.cell, new_id=lambda: nonce() + nonce(), monotonic=lambda: self.now_s)
        busy: dict[str, Any] = {"slots": 1, "used": 1, "active": True, "parked": False}
        self.view = CellSnapshot(machines={name: MachineState(id=name, profile="p", **busy) for name in machines})

    async def bring(self, *ranked: str) -> int:
        return await self.deployer.bring(ROUTED, ranked, self.view)

    async def ordered(self, machine: str) -> Sequence[str]:
        return [order.model for order in await self.rig.cell.pending_orders(machine)]


@pytest.fixture
async def yard(rig: Rig) -> Yard:
    for name in ("a", "b", "us"):
        await rig.joined(name)
    return Yard(rig, "a", "b", "us", "gone")


async def test_what_was_ordered_for_one_of_a_jobs_machines_is_not_ordered_again_for_the_next(yard: Yard) -> None:
    assert await yard.bring("a", "b") == 1
    assert await yard.bring("a", "b") == 0
    assert await yard.bring("b", "a") == 0
    assert (await yard.ordered("a"), await yard.ordered("b")) == (["sdxl.safetensors"], [])


async def test_machines_of_another_pool_or_region_are_told_too(yard: Yard) -> None:
    """What comes to machines that a job may not have helps it nothing."""
    assert await yard.bring("a", "b") == 1
    assert await yard.bring("us") == 1
    assert await yard.ordered("us") == ["sdxl.safetensors"]


async def test_an_order_that_failed_is_given_again_to_whoever_is_there(yard: Yard) -> None:
    assert await yard.bring("gone", "a") == 0
    assert await yard.bring("a", "gone") == 1


async def test_after_a_while_it_is_ordered_again(yard: Yard) -> None:
    """The fetch may have failed, and the machine may have thrown the model away."""
    assert await yard.bring("a", "b") == 1
    yard.now_s += AGAIN_AFTER_S
    assert await yard.bring("b", "a") == 1
