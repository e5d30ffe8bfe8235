"""Whether a machine may enter the pools that it names: asked before it registers, and, where a pool has a bound, once more after."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from northstar.config.pool_errors import check_pools_of_machine
from northstar.policy.fleet.pool_membership import (
    Announced,
    PoolRefusesMachine,
    counted_pools,
    pool_is_full,
    pool_refusals,
)
from northstar.store.pool_census import PoolCensus

if TYPE_CHECKING:
    from collections.abc import Callable

    from northstar.domain.pools import Pools
    from northstar.store import wire
    from northstar.store.cell import Cell


class Entering(msgspec.Struct, frozen=True, kw_only=True):
    """A machine that may register. `counted` are those of its pools that have a bound, `moves_to` of these where it was not before."""

    machine: str
    pools: Pools
    counted: tuple[str, ...] = ()
    moves_to: tuple[str, ...] = ()


class PoolDoor:
    """Of one cell, for all machines that dial one process. `pools` gives those that hold now."""

    def __init__(self, cell: Cell, pools: Callable[[], Pools]) -> None:
        self._pools = pools
        self._census = PoolCensus(cell.client, cell.keys)

    async def may_enter(self, machine: str, body: wire.Registration) -> Entering:
        """By the machines that are there now. One that comes back keeps a pool that is gone meanwhile: it has work to finish.

        Raises:
            MachinePoolUnknown: it names a pool that is not there.
            PoolRefusesMachine: it lacks what a pool asks of its machines, or finds it full.
        """
        pools = self._pools()
        if not body.again:
            check_pools_of_machine(machine, body.profile.pools, pools)
        announced = Announced(profile=body.profile, description=body.description)
        counted = counted_pools(pools, announced)
        census = await self._census.taken_for(machine) if counted else None
        if refusals := pool_refusals(pools, announced, census.others(machine) if census else {}):
            raise PoolRefusesMachine(machine, refusals=refusals)
        if census is None or machine not in census.pools:
            return Entering(machine=machine, pools=pools, counted=counted)
        moves_to = tuple(pool for pool in counted if pool not in census.pools[machine])
        return Entering(machine=machine, pools=pools, counted=counted, moves_to=moves_to)

    async def has_entered(self, entering: Entering) -> None:
        """Now that it is registered: of machines that came at the same moment the first ones stay, as many as there is room for.

        Everyone looks after he has registered, and the cell numbers machines as they register, so whoever is one too many sees it and
        knows that it is he. A machine that was here before in other pools has an old number and gives way.

        Raises:
            PoolRefusesMachine: it is one too many, and has to leave.
        """
        if not entering.counted:
            return
        counts = (await self._census.taken_for(entering.machine)).machines
        most = {pool: entering.pools.pools[pool].scaling.max_machines for pool in entering.counted}
        full = [pool for pool in entering.counted if counts.get(pool, 0) > most[pool]]
        if not full:
            return
        members = await self._census.members()
        refusals = {
            pool: (pool_is_full(most[pool]),)
            for pool in full
            if len(members.get(pool, ())) > most[pool]
            and (pool in entering.moves_to or entering.machine not in members[pool][: most[pool]])
        }
        if refusals:
            raise PoolRefusesMachine(entering.machine, refusals=refusals)
