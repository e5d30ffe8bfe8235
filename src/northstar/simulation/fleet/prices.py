"""What kinds of machines cost that say a name instead of a number."""

from __future__ import annotations

from collections.abc import Iterable

from northstar.domain.misfits import alike
from northstar.simulation.fleet.errors import NoSuchPrice
from northstar.simulation.fleet.plan import FleetPlan, PriceOf
from northstar.simulation.workload.gpu_prices import GpuPrice


def named_prices(fleet: FleetPlan, table: Iterable[GpuPrice] | None) -> dict[str, float]:
    """What an hour costs of each kind that names its price, USD. Of several machines that fit the name, the cheapest.

    Raises:
        NoSuchPrice: there is no table, or the table has no such machine.
    """
    asked = {
        name: kind.price_usd_per_hour
        for name, kind in fleet.kinds.items()
        if isinstance(kind.price_usd_per_hour, PriceOf)
    }
    if not asked:
        return {}
    if table is None:
        first = next(iter(asked))
        raise NoSuchPrice(
            "names a price, and the scenario has no table of them; add `prices: FILE` or write a number",
            path=f"fleet.kinds.{first}.price_usd_per_hour",
        )
    rows = list(table)
    return {name: _price(price, rows, path=f"fleet.kinds.{name}.price_usd_per_hour") for name, price in asked.items()}


def _price(asked: PriceOf, rows: list[GpuPrice], *, path: str) -> float:
    sold = [row for row in rows if row.seller == asked.provider]
    if not sold:
        raise NoSuchPrice(_none("provider", asked.provider, {row.seller for row in rows}), path=f"{path}.provider")
    of_gpu = [row for row in sold if row.gpu == asked.gpu]
    if not of_gpu:
        raise NoSuchPrice(_none("gpu", asked.gpu, {row.gpu for row in sold}), path=f"{path}.gpu")
    of_count = [row for row in of_gpu if row.gpus == asked.gpus]
    if not of_count:
        raise NoSuchPrice(_none("gpus", str(asked.gpus), {str(row.gpus) for row in of_gpu}), path=f"{path}.gpus")
    offers = [row.spot_usd_per_hour if asked.offer == "spot" else row.usd_per_hour for row in of_count]
    found = [price for price in offers if price is not None]
    if not found:
        raise NoSuchPrice(
            f"is {asked.offer}, for which {asked.provider} has no price of {asked.gpu} in the table",
            path=f"{path}.offer",
        )
    return min(found)


def _none(key: str, name: str, known: set[str]) -> str:
    near = alike(name, sorted(known))
    hint = f"; did you mean {near}?" if near else ""
    return f"is {name!r}, and the price table has, for {key}, {', '.join(sorted(known)[:20])}{hint}"
