"""Which pools a machine that is there could be given too, and what another machine must bring: by the rules of registration.

Advice that a broker refuses is worse than none: a machine that is given a pool which does not let it in serves no pool at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from northstar.domain.amounts import memory
from northstar.domain.requirements import UNIFORM
from northstar.policy.fleet.pool_membership import Announced, pool_refusals

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from northstar.domain.machines import MachineProfile
    from northstar.domain.pools import Pools
    from northstar.domain.requirements import RequirementClass
    from northstar.policy.routing.snapshot import CellSnapshot, MachineState


class PoolEntry(msgspec.Struct, frozen=True, kw_only=True):
    """The pools of a cell and how many machines each of them has. Without pools nobody refuses a machine."""

    pools: Pools | None = None
    members: Mapping[str, int] = {}

    @classmethod
    def of(cls, pools: Pools | None, snapshot: CellSnapshot) -> Self:
        """As things are in this view."""
        if pools is None:
            return cls()
        members: dict[str, int] = {}
        for machine in snapshot.machines.values():
            offered = snapshot.profiles.get(machine.profile)
            for name in offered.pools if offered else ():
                members[name] = members.get(name, 0) + 1
        return cls(pools=pools, members=members)

    def refusal(self, machine: MachineState, offered: MachineProfile, pool: str) -> str:
        """Why the machine could not register with this pool beside those that it has; empty: it could, or serves it already."""
        if self.pools is None or pool == UNIFORM or pool in offered.pools:
            return ""
        more = msgspec.structs.replace(offered, pools=(*offered.pools, pool))
        # It is counted already where it is, and would be one more only in the new one.
        others = {name: count - (name in offered.pools) for name, count in self.members.items()}
        refused = pool_refusals(self.pools, Announced(profile=more, description=machine.description), others)
        return "; ".join(f"pool {name} lets no such machine in: {', '.join(why)}" for name, why in refused.items())

    def asks(self, wanted: RequirementClass) -> list[str]:
        """What the pool of the class asks of each of its machines beside what the jobs need, as parts of a sentence."""
        spec = None if self.pools is None or self.pools.routing.mode == "uniform" else self.pools.get(wanted.pool)
        if spec is None:
            return []
        parts = []
        gpus, each_mb = spec.compute.min_gpus, spec.compute.min_vram_mb
        if gpus and (gpus > 1 or each_mb > wanted.vram_mb or not wanted.vram_mb):
            each = f" of {memory(each_mb)} or more{' each' if gpus > 1 else ''}" if each_mb else ""
            parts.append(f"has {gpus} {'GPU' if gpus == 1 else 'GPUs'}{each}")
        if spec.storage.min_gb:
            parts.append(f"has {spec.storage.min_gb:g} GB of disk for models (if it keeps any)")
        if spec.scaling.exclusive:
            parts.append("serves no other pool")
        return parts


#: Where nobody says which pools there are.
ANY_ENTRY: Final = PoolEntry()
