"""Whether a machine may enter a pool: it must bring what the pool promises to its jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

from northstar.domain.errors import Refused
from northstar.domain.requirements import vram_class_within_mb

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from northstar.domain.machines import MachineDescription, MachineProfile
    from northstar.domain.pools import Pools, PoolSpec

#: A machine with this tag may be taken away at any moment.
SPOT_TAG: Final = "spot"
#: A file system keeps a part of its disk for itself: ext4 about 2 %, and sizes of disks are rounded up when they are sold.
DISK_TOLERANCE: Final = 0.05
_GB: Final = 1_000_000_000


class PoolRefusesMachine(Refused):
    """A machine does not bring what a pool that it names asks for."""

    code: ClassVar[str] = "NS_POOL_REFUSES_MACHINE"

    def __init__(self, machine: str, *, refusals: Mapping[str, tuple[str, ...]]) -> None:
        said = "; ".join(f"pool {pool}: {', '.join(reasons)}" for pool, reasons in refusals.items())
        super().__init__(
            f"machine {machine} may not enter ({said}): give it other pools, or change what these ask for (northstar pools show "
            f"{next(iter(refusals), 'POOL')})"
        )
        self.machine = machine
        self.refusals = dict(refusals)


class Announced(msgspec.Struct, frozen=True, kw_only=True):
    """A machine as it announces itself."""

    profile: MachineProfile
    description: MachineDescription

    @property
    def vram_classes_mb(self) -> tuple[int, ...]:
        """Memory of each GPU that a job may use, as a class: what is declared counts where it is less than the card has."""
        declared = self.profile.vram_mb
        found = [vram_class_within_mb(gpu.vram_mb) for gpu in self.description.gpus]
        if not found:
            return (vram_class_within_mb(declared),) if declared else ()
        return tuple(min(one, vram_class_within_mb(declared)) if declared else one for one in found)


def decide_membership(spec: PoolSpec, announced: Announced, *, others: int = 0) -> tuple[str, ...]:
    """Every reason against, with the machine as the subject of each; none means that it may enter. `others` are in the pool already.

    A disk that the machine does not tell is not held against it: it looks after no models folder, so nothing is fetched to it.
    """
    return tuple(_reasons(spec, announced, others=others))


def pool_refusals(pools: Pools, announced: Announced, others: Mapping[str, int]) -> dict[str, tuple[str, ...]]:
    """Pools that the machine names and may not enter, with the reasons. While pools are switched off nobody refuses.

    A pool that no file describes asks for nothing.
    """
    if pools.routing.mode == "uniform":
        return {}
    decided = {
        name: decide_membership(spec, announced, others=others.get(name, 0))
        for name in announced.profile.pools
        if (spec := pools.get(name)) is not None
    }
    return {name: reasons for name, reasons in decided.items() if reasons}


def counted_pools(pools: Pools, announced: Announced) -> tuple[str, ...]:
    """The machine's pools that may have only so many machines: for these it must be known how many there are."""
    if pools.routing.mode == "uniform":
        return ()
    return tuple(name for name in announced.profile.pools if (spec := pools.get(name)) and spec.scaling.max_machines)


def _reasons(spec: PoolSpec, announced: Announced, *, others: int) -> Iterator[str]:
    profile, disk_gb = announced.profile, announced.description.disk_bytes / _GB
    if disk_gb and disk_gb < spec.storage.min_gb * (1 - DISK_TOLERANCE):
        yield f"it has {disk_gb:.1f} GB of disk for models, at least {spec.storage.min_gb:g} are asked for"
    gpus = announced.vram_classes_mb
    if len(gpus) < spec.compute.min_gpus:
        yield f"it has {len(gpus)} GPUs, at least {spec.compute.min_gpus} are asked for"
    if gpus and spec.compute.min_gpus and min(gpus) < spec.compute.min_vram_mb:
        yield f"a GPU of it has {min(gpus):,} MB of memory, each must have {spec.compute.min_vram_mb:,} MB"
    if SPOT_TAG in profile.tags and not spec.scaling.spot:
        yield "it may be taken away at any moment (tag spot), and the pool promises that its machines stay"
    if spec.scaling.exclusive and len(profile.pools) > 1:
        yield f"it serves {len(profile.pools) - 1} other pools too, and machines of this one serve no other"
    if spec.scaling.max_machines and others >= spec.scaling.max_machines:
        yield pool_is_full(others)


def pool_is_full(machines: int) -> str:
    """The reason against a further machine."""
    return f"it has {machines} machines already, as many as it may"
