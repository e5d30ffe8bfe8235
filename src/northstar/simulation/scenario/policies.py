"""The policies that scenarios can compare, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

import msgspec

from northstar.domain.pools import Pools
from northstar.simulation.inputs import SimulatedJob
from northstar.simulation.policies.copies import ModelCopies
from northstar.simulation.policies.foresight import FarthestUse, Foresight
from northstar.simulation.policies.pressure import ModelPressure
from northstar.simulation.policies.uniform import UniformPull
from northstar.simulation.policy import FleetPolicy, NorthStar

#: Makes a policy for a run from the run's seed and from pools that are switched off.
_Make: TypeAlias = Callable[[int, Pools], FleetPolicy]


class Compared(NamedTuple):
    """A policy, and the jobs as it is to be run with them."""

    policy: FleetPolicy
    jobs: Iterable[SimulatedJob]


_PLAIN: Final[Mapping[str, _Make]] = MappingProxyType(
    {
        "north-star": lambda _seed, _off: NorthStar(),
        # The others know no pools: any machine takes any job that it can run.
        "uniform-lru": lambda seed, off: UniformPull(seed=seed, pools=off),
        "swarmui-pressure": lambda _seed, off: ModelPressure(pools=off),
        "modelmesh-copies": lambda seed, off: ModelCopies(seed=seed, pools=off),
    }
)
#: Behind the name of a policy: its disks drop what will be asked for last, since the workload is known. No fleet can do that.
_FORESIGHT: Final = "-belady"
#: All of them.
POLICIES: Final = (*_PLAIN, *(f"{name}{_FORESIGHT}" for name in ("north-star", "uniform-lru")))


def compared(name: str, jobs: Callable[[], Iterable[SimulatedJob]], *, seed: int, pools: Pools) -> Compared:
    """A policy made anew for a run.

    Args:
        name: one of `POLICIES`.
        jobs: gives the workload from its beginning, each time that it is called.
        seed: the run's.
        pools: those that hold for North Star.

    Raises:
        KeyError: there is no policy of this name.
    """
    off = msgspec.structs.replace(pools, routing=msgspec.structs.replace(pools.routing, mode="uniform"))
    policy = _PLAIN[name.removesuffix(_FORESIGHT)](seed, off)
    if not name.endswith(_FORESIGHT):
        return Compared(policy, jobs())
    foresight = Foresight(jobs())
    return Compared(FarthestUse(policy, foresight), foresight.watched(jobs()))
