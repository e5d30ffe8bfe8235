"""The parts of a fleet that is planned: one for each pool, or one for all work; each with the machines that it may consist of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from northstar.domain.pools import Pools
from northstar.evaluation.planning.demand import Demand
from northstar.evaluation.planning.errors import MachineWithoutPrice, NoMachineFits
from northstar.evaluation.planning.machines import Machine, fleet_name, refusals
from northstar.simulation.fleet.plan import MAX_MACHINES, FleetPlan, MachineGroup, PriceOf

#: Disks to choose from where nobody says any and no pool has bounds of its own, GB.
USUAL_DISKS: Final = (40.0, 80.0)
#: What the one part of a mixed fleet is called.
MIXED: Final = "fleet"


class PlanPart(msgspec.Struct, frozen=True, kw_only=True):
    """A part."""

    name: str
    #: Whose jobs it is judged by; empty: everybody's.
    pools: tuple[str, ...]
    machines: Annotated[tuple[Machine, ...], msgspec.Meta(min_length=1)]

    def most(self, pools: Pools) -> int:
        """As many machines as its pools take."""
        specs = [spec for pool in self.pools if (spec := pools.get(pool)) is not None]
        return min((spec.scaling.max_machines for spec in specs if spec.scaling.max_machines), default=MAX_MACHINES)


def part_for_pool(
    pool: str, pools: Pools, machines: Sequence[Machine], *, disks: Sequence[float], usd_per_gb_month: float
) -> PlanPart | None:
    """A pool with all machines that may enter it; None: none of them may. Without `disks`, those between which the pool's own may be."""
    spec = pools.get(pool)
    own = () if spec is None else tuple(gb for gb in (spec.storage.min_gb, spec.storage.max_gb) if gb)
    found = [
        machine
        for bare in machines
        for disk_gb in (tuple(disks) or own or USUAL_DISKS)
        if not refusals(machine := bare.with_disk(disk_gb, usd_per_gb_month=usd_per_gb_month).for_pools((pool,)), pools)
    ]
    if not found:
        return None
    return PlanPart(
        name=pool,
        pools=(pool,),
        machines=tuple(msgspec.structs.replace(one, name=fleet_name(pool, one.name)) for one in found),
    )


def in_region(part: PlanPart, region: str) -> PlanPart:
    """The part, in a region of its own; empty: anywhere."""
    if not region:
        return part
    machines = [one.for_pools(one.kind.pools, region=region) for one in part.machines]
    return msgspec.structs.replace(
        part,
        name=f"{part.name}@{region}",
        machines=tuple(msgspec.structs.replace(one, name=fleet_name(region, one.name)) for one in machines),
    )


def mixed_part(
    pools: Pools, machines: Sequence[Machine], *, disks: Sequence[float], usd_per_gb_month: float
) -> PlanPart:
    """All work on one fleet, while pools are switched off."""
    anywhere = "fast-lane" if "fast-lane" in pools.pools else next(iter(pools.pools))
    return PlanPart(
        name=MIXED,
        pools=(),
        machines=tuple(
            bare.with_disk(disk_gb, usd_per_gb_month=usd_per_gb_month).for_pools((anywhere,))
            for bare in machines
            for disk_gb in (tuple(disks) or USUAL_DISKS)
        ),
    )


def machines_of(fleet: FleetPlan, prices: dict[str, float]) -> list[Machine]:
    """The kinds of a scenario, with the laws of their first groups. Raises MachineWithoutPrice."""
    found = []
    for name, kind in fleet.kinds.items():
        price = prices.get(name) if isinstance(kind.price_usd_per_hour, PriceOf) else kind.price_usd_per_hour
        if price is None:
            raise MachineWithoutPrice(
                f"kind {name} of the scenario", f"give it one: fleet.kinds.{name}.price_usd_per_hour"
            )
        group: MachineGroup | None = next((one for one in fleet.groups if one.kind == name), None)
        found.append(
            Machine(
                name=name,
                kind=msgspec.structs.replace(kind, price_usd_per_hour=price),
                usd_per_hour=price,
                bare_usd_per_hour=price,
                bare_gb=kind.disk_gb,
                group=group,
            )
        )
    return found


def parts_of(machines: Sequence[Machine]) -> list[PlanPart]:
    """The parts of a scenario: kinds that serve the same pools in the same region are a choice."""
    by_pools: dict[tuple[tuple[str, ...], str], list[Machine]] = {}
    for machine in machines:
        region = (machine.group.region if machine.group else "") or machine.kind.region
        by_pools.setdefault((machine.kind.pools, region), []).append(machine)
    return [
        PlanPart(name="+".join(pools) + (f"@{region}" if region else ""), pools=pools, machines=tuple(found))
        for (pools, region), found in by_pools.items()
    ]


def fitting(part: PlanPart, demand: Demand) -> PlanPart:
    """The part with those of its machines alone that can hold and run each job of a demand. Raises NoMachineFits: none can."""
    found = part.machines
    for is_disk, asked in ((True, demand.largest_bytes / 1e9), (False, demand.vram_mb / 1_000)):
        most = max(_has(one, is_disk=is_disk) for one in found)
        found = tuple(one for one in found if _has(one, is_disk=is_disk) >= asked)
        if not found:
            what, option = ("disk", "--disks") if is_disk else ("GPU memory", "--gpu")
            by = f" (the largest of its models is {demand.largest.name})" if is_disk else ""
            raise NoMachineFits(
                f"the work of {part.name}",
                f"a job needs {asked:.1f} GB of {what}{by}, and the most that there is to choose is {most:g}; choose more with {option}",
            )
    return msgspec.structs.replace(part, machines=found)


def _has(machine: Machine, *, is_disk: bool) -> float:
    """GB."""
    if not is_disk:
        return machine.kind.vram_gb
    return machine.kind.disk_gb + sum(file.gb for file in machine.kind.image)
