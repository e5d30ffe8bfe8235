"""A pool's own models are ordered to its machines."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from northstar.broker.catalogue import say
from northstar.broker.catalogue_view import CatalogueView
from northstar.broker.model_orders import MachineKeepsNoModels, order_fetch, read_order
from northstar.broker.pool_models import PoolModels
from northstar.domain.machines import MachineDescription, MachineProfile
from northstar.domain.models import ModelHeld
from northstar.domain.pools import Pools
from tests.agent.rig import Rig, nonce
from tests.policy.models.catalogue import a_model
from tests.specification.pool_jobs import with_pool

WANTED = with_pool("fast-lane", models={"keep": ("sdxl.safetensors",)})


async def joined(rig: Rig, name: str, pool: str, *models: ModelHeld) -> None:
    link = await rig.link(name)
    await link.register(
        MachineProfile(pools=(pool,), services=("waits",)), MachineDescription(), slots=1, models=models
    )


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def looking(rig: Rig, pools: Pools = WANTED, *, clock: Callable[[], float] = time.monotonic) -> PoolModels:
    view = CatalogueView(rig.cell, monotonic=time.monotonic)
    return PoolModels(rig.cell, view, lambda: pools, new_id=lambda: nonce() + nonce(), monotonic=clock)


async def test_machines_of_the_pool_that_lack_a_model_are_told_to_fetch_it_once(rig: Rig) -> None:
    await say(rig.cell, [a_model("sdxl.safetensors")], by="ann")
    await joined(rig, "lacks", "fast-lane")
    await joined(rig, "has", "fast-lane", ModelHeld("sdxl.safetensors", "disk"))
    await joined(rig, "other", "heavy")
    look = looking(rig)
    assert [await look.step(), await look.step()] == [1, 0]
    assert [order.model for order in await rig.cell.pending_orders("lacks")] == ["sdxl.safetensors"]
    assert await rig.cell.pending_orders("has") == await rig.cell.pending_orders("other") == []


async def test_a_model_that_nobody_declared_is_told_and_holds_nothing_up(rig: Rig) -> None:
    await joined(rig, "m", "fast-lane")
    assert await looking(rig).step() == 0


async def test_a_machine_gets_two_files_at_a_time_however_many_models_its_pool_keeps(rig: Rig) -> None:
    names = [f"m{at}.safetensors" for at in range(5)]
    await say(rig.cell, [a_model(name) for name in names], by="ann")
    await joined(rig, "lacks", "fast-lane")
    clock = Clock()
    look = looking(rig, with_pool("fast-lane", models={"keep": tuple(names)}), clock=clock)
    assert [await look.step(), await look.step()] == [2, 0]
    clock.now_s += 31  # these two were never begun: they may be broken, and the others shall not wait for them
    assert [await look.step(), await look.step()] == [2, 0]
    assert [order.model for order in await rig.cell.pending_orders("lacks")] == names[:4]


async def test_no_more_is_ordered_than_finds_room_on_the_machine(rig: Rig) -> None:
    """Two of 5 GB each fit under a cap of 12 GB; the third would make the machine throw another away."""
    names = [f"m{at}.safetensors" for at in range(3)]
    await say(rig.cell, [a_model(name) for name in names], by="ann")
    await joined(rig, "lacks", "fast-lane")
    clock = Clock()
    pools = with_pool("fast-lane", models={"keep": tuple(names)}, storage={"min_gb": 10, "max_gb": 12})
    look = looking(rig, pools, clock=clock)
    assert await look.step() == 2
    clock.now_s += 31
    assert await look.step() == 0
    assert [order.model for order in await rig.cell.pending_orders("lacks")] == names[:2]


async def test_nothing_is_ordered_to_a_machine_that_keeps_no_models_folder(rig: Rig) -> None:
    await say(rig.cell, [a_model("sdxl.safetensors")], by="ann")
    link = await rig.link("none")
    profile = MachineProfile(pools=("fast-lane",), services=("waits",))
    await link.register(profile, MachineDescription(keeps_models=False), slots=1, models=())
    assert await looking(rig).step() == 0
    order = read_order({"name": "a.safetensors", "sources": ["https://h/a"], "sha256": "unknown"})
    with pytest.raises(MachineKeepsNoModels, match="machine none keeps no models folder and fetches nothing"):
        await order_fetch(rig.cell, "none", order, order_id=nonce(), by="ann")
    assert await rig.cell.pending_orders("none") == []
