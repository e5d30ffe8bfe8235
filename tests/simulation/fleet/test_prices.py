"""Prices by name: the one of the table, or a refusal that says what the table has."""

from __future__ import annotations

from typing import Any

import pytest

from northstar.simulation.fleet.errors import NoSuchPrice
from northstar.simulation.fleet.plan import FleetPlan, MachineGroup, MachineKind, PriceOf
from northstar.simulation.fleet.prices import named_prices
from northstar.simulation.workload.gpu_prices import GpuPrice


def row(usd: float | None, spot: float | None = None, gpus: int = 1, gpu: str = "L4 (24 GB)") -> GpuPrice:
    return GpuPrice(
        seller="Cloud", gpu=gpu, gpu_class="l4", gpus=gpus, vram_gb=24, usd_per_hour=usd, spot_usd_per_hour=spot
    )


TABLE = (row(0.8), row(0.7, 0.3), row(3.0, gpus=4), row(None, gpu="T4 (16 GB)"))


def fleet(price: Any) -> FleetPlan:
    kind = MachineKind(gpu="L4", vram_gb=24, pools=("fast-lane",), services=("x",), price_usd_per_hour=price)
    return FleetPlan(kinds={"l4": kind}, groups=(MachineGroup(name="all", kind="l4", count=1),))


def named(**keys: Any) -> PriceOf:
    return PriceOf(**({"provider": "Cloud", "gpu": "L4 (24 GB)"} | keys))


@pytest.mark.parametrize(("price", "usd"), [(named(), 0.7), (named(offer="spot"), 0.3), (named(gpus=4), 3.0)])
def test_a_name_is_a_price_of_the_table_the_cheapest_of_several(price: PriceOf, usd: float) -> None:
    assert named_prices(fleet(price), TABLE) == {"l4": usd}


def test_a_number_needs_no_table() -> None:
    assert named_prices(fleet(0.5), None) == named_prices(fleet(None), None) == {}


@pytest.mark.parametrize(
    ("price", "key", "says"),
    [
        (named(provider="Clod"), "provider", "did you mean Cloud"),
        (named(gpu="L40"), "gpu", "L4 (24 GB)"),
        (named(gpus=2), "gpus", "1, 4"),
        (named(gpu="T4 (16 GB)"), "offer", "no price of T4"),
        (named(gpus=4, offer="spot"), "offer", "is spot"),
    ],
)
def test_a_name_that_the_table_has_not_is_refused_at_its_key(price: PriceOf, key: str, says: str) -> None:
    with pytest.raises(NoSuchPrice) as refused:
        named_prices(fleet(price), TABLE)
    assert refused.value.path == f"fleet.kinds.l4.price_usd_per_hour.{key}"
    assert says in str(refused.value)


def test_a_name_without_a_table_says_how_to_give_one() -> None:
    with pytest.raises(NoSuchPrice, match="prices: FILE"):
        named_prices(fleet(named()), None)
