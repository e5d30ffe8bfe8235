"""What can be wrong with pools: their file, and a name that none of them has."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from northstar.config.declared_files import InvalidFile
from northstar.domain.errors import InvalidRequest
from northstar.domain.misfits import alike
from northstar.domain.requirements import UNIFORM

if TYPE_CHECKING:
    from northstar.domain.pools import Pools


class InvalidPools(InvalidFile):
    """A file of pools cannot be used. `table` and `key` are where the first problem stands; empty where it is the whole file's."""

    code = "NS_INVALID_POOLS"


class NoSuchPool(InvalidRequest):
    """There is no pool of this name."""

    code = "NS_NO_SUCH_POOL"

    def __init__(self, name: str, *, known: tuple[str, ...]) -> None:
        near = alike(name, list(known))
        hint = f"; did you mean {near!r}?" if near else ""
        super().__init__(f"there is no pool {name!r}; there are {', '.join(known) or 'none yet'}{hint}")
        self.name = name
        self.known = known


class MachinePoolUnknown(InvalidRequest):
    """A machine names a pool that is not there, so no job would ever come to it."""

    code = "NS_MACHINE_POOL_UNKNOWN"

    def __init__(self, machine: str, *, pool: str, known: tuple[str, ...]) -> None:
        near = alike(pool, list(known))
        hint = f"; did you mean {near!r}?" if near else ""
        super().__init__(
            f"machine {machine} names pool {pool!r}, which is not in force (there are {', '.join(known) or 'none'}){hint}: correct its "
            "pools, in its settings or in its invite, or apply pools that have it: northstar pools apply FILE"
        )
        self.machine = machine
        self.pool = pool
        self.known = known


def check_pools_of_machine(machine: str, named: Collection[str], pools: Pools, *, also: Collection[str] = ()) -> None:
    """Whether the pools that a machine names are there. While pools are switched off, any machine takes any job, whatever it names.

    Raises:
        MachinePoolUnknown: with the first that is neither one of these pools nor of `also`.
    """
    if pools.routing.mode == "uniform":
        return
    for pool in named:
        if pool not in pools.pools and pool not in also and pool != UNIFORM:
            raise MachinePoolUnknown(machine, pool=pool, known=tuple(pools.pools))
