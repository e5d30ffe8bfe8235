"""Another policy is other rankings, other candidates and another choice of what goes; everything else stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from northstar.broker.wanted_lanes import wanted_lane
from northstar.policy.models.eviction import Candidate, Drop, EvictionPlan, EvictionRule
from northstar.simulation.inputs import FileOnDisk
from northstar.simulation.policy import NorthStar
from northstar.simulation.simulate import run
from northstar.store.messages import Placement, WantedLane
from tests.simulation.rig import GB, job, machine, model

A, B, C = (model(f"{name}.safetensors") for name in "abc")


class LastFirst(NorthStar):
    """Ranks machines by name, the last first, whatever they hold."""

    name = "last-first"
    orders_models = False

    def __init__(self) -> None:
        super().__init__()
        self.place = self._by_name
        self.choose = lambda *_, **__: []

    def _by_name(self, *arguments: Any, **others: Any) -> WantedLane:
        lane = wanted_lane(*arguments, **others)
        machines = sorted((one.machine for one in lane.placements), reverse=True)
        return msgspec.structs.replace(
            lane, placements=tuple(Placement(name, 0, place) for place, name in enumerate(machines))
        )


class DropsByName(NorthStar):
    """Drops the file whose name comes first."""

    def evict(
        self, candidates: Sequence[Candidate], *, need_bytes: int, rule: EvictionRule, names: Mapping[str, str]
    ) -> EvictionPlan:
        first = min(candidates, key=lambda one: names[one.name])
        return EvictionPlan(drops=(Drop(first.name, first.size_bytes, "by name"),), keeps=(), is_enough=True)


async def test_a_policy_says_which_machine_a_job_goes_to() -> None:
    holds = FileOnDisk(name="a.safetensors", size_bytes=GB)
    fleet = [machine("m1", disk=(holds,)), machine("m2"), machine("m3")]

    found = await run([job(10, A)], fleet, LastFirst())

    assert found.outcome.policy == "last-first"
    assert [one.machine for one in found.outcome.jobs] == ["m3"]


async def test_a_policy_says_what_goes_from_a_full_disk() -> None:
    jobs = [job(0, B), job(100, A), job(200, C), job(300, A), job(400, B)]

    found = await run(jobs, [machine("m1", disk_bytes=2 * GB)], DropsByName())

    # For C goes A, although it was used later than B; for A then B, the first that is not in use.
    assert [one.fetched_bytes for one in found.outcome.jobs] == [GB, GB, GB, GB, GB]
    assert found.outcome.redundant == 2
