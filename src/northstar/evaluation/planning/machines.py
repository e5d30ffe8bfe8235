"""Machines that a plan may choose from: what they are, and what an hour of each costs."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated, Final

import msgspec

from northstar.domain.misfits import alike
from northstar.domain.pools import Pools
from northstar.evaluation.planning.errors import MachineWithoutPrice
from northstar.policy.fleet.pool_membership import Announced, pool_refusals
from northstar.simulation.fleet.plan import BakedFile, MachineGroup, MachineKind
from northstar.simulation.fleet.timeline import machine_of
from northstar.simulation.workload.gpu_prices import GpuPrice, cloud_prices

#: Hours of a month, by which disks are sold.
MONTH_H: Final = 730.0
#: USD for a GB and month where nothing else is said: what block storage of large clouds costs.
DISK_USD_PER_GB_MONTH: Final = 0.08
_IN_BRACKETS: Final = re.compile(r"\s*\([^)]*\)\s*$")
_NO_NAME: Final = re.compile(r"[^a-z0-9]+")
#: As long as such a name may be.
_NAME_CHARS: Final = 48


def fleet_name(*words: str) -> str:
    """A name that kinds and groups of a fleet may have, of words that together are no other machine's.

    >>> fleet_name("EU West", "rtx-4090", "0.5gb")
    'eu-west-rtx-4090-0-5gb'
    """
    text = _NO_NAME.sub("-", "-".join(filter(None, words)).lower()).strip("-")
    if len(text) <= _NAME_CHARS:
        return text
    return f"{hashlib.sha256(text.encode()).hexdigest()[:8]}-{text[9 - _NAME_CHARS :].strip('-')}"


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """A machine as a part of the fleet may have it."""

    name: str
    kind: MachineKind
    usd_per_hour: Annotated[float, msgspec.Meta(ge=0)]
    #: The same with no more disk than is in its price anyway, and how much that is.
    bare_usd_per_hour: float
    bare_gb: float = 0.0
    #: How its machines come and go.
    group: MachineGroup | None = None

    def with_disk(self, disk_gb: float, *, usd_per_gb_month: float) -> Machine:
        """The same with another disk."""
        price = self.bare_usd_per_hour + max(0.0, disk_gb - self.bare_gb) * usd_per_gb_month / MONTH_H
        name = fleet_name(self.name, f"{disk_gb:g}gb")
        kind = msgspec.structs.replace(self.kind, disk_gb=disk_gb, price_usd_per_hour=round(price, 6))
        return msgspec.structs.replace(self, name=name, kind=kind, usd_per_hour=round(price, 6))

    def for_pools(self, pools: tuple[str, ...], *, region: str = "") -> Machine:
        """The same, to work for these pools."""
        kind = msgspec.structs.replace(self.kind, pools=pools, region=region or self.kind.region)
        return msgspec.structs.replace(self, kind=kind)

    def holding(self, image: Sequence[BakedFile], *, usd_per_gb_month: float) -> Machine:
        """The same with these models on its disk from the start, which pays for them."""
        gb = max(1.0, float(math.ceil(sum(file.gb for file in image))))
        found = self.with_disk(max(gb, self.bare_gb), usd_per_gb_month=usd_per_gb_month)
        kind = msgspec.structs.replace(found.kind, image=tuple(image))
        return msgspec.structs.replace(found, kind=kind)


def price_table(file: Path | None) -> list[GpuPrice]:
    """The prices of a file, or those that come with North Star. Raises what `cloud_prices` does."""
    if file is not None:
        return list(cloud_prices(file))
    with as_file(files("northstar.evaluation.planning").joinpath("prices.csv")) as packaged:
        return list(cloud_prices(packaged))


def offered(
    table: Sequence[GpuPrice], gpu_classes: Iterable[str], *, services: Sequence[str], spot: bool = False
) -> list[Machine]:
    """The cheapest machine with one GPU of each class, without a disk. Raises MachineWithoutPrice: the table has none of a class."""
    found = []
    for gpu_class in gpu_classes:
        rows = [
            (price, row)
            for row in table
            if row.gpu_class == gpu_class
            and row.gpus == 1
            and (price := row.spot_usd_per_hour if spot else row.usd_per_hour) is not None
        ]
        if not rows:
            known = sorted({row.gpu_class for row in table if row.gpus == 1})
            near = alike(gpu_class, known)
            hint = f"did you mean {near}" if near else f"the table has {', '.join(known)}"
            raise MachineWithoutPrice(
                f"a {'spot ' if spot else ''}machine with one {gpu_class}",
                f"{hint}; name another table with --prices, or another GPU with --gpu",
            )
        price, row = min(rows, key=lambda one: one[0])
        found.append(
            Machine(
                name=fleet_name(gpu_class),
                kind=MachineKind(
                    gpu=_IN_BRACKETS.sub("", row.gpu),
                    vram_gb=row.vram_gb,
                    pools=("fast-lane",),
                    services=tuple(services),
                ),
                usd_per_hour=price,
                bare_usd_per_hour=price,
            )
        )
    return found


def refusals(machine: Machine, pools: Pools) -> tuple[str, ...]:
    """Why pools do not take such a machine; empty: all that it names do."""
    real = machine_of(machine.kind, machine.name)
    announced = Announced(profile=real.profile(), description=real.description())
    return tuple(reason for reasons in pool_refusals(pools, announced, {}).values() for reason in reasons)
