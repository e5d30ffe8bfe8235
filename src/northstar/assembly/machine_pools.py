"""Whether the pools that machines of the settings name are there: a misspelt one would be a pool to which no job ever comes."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from northstar.broker.pools_in_force import PoolsInForce
from northstar.config.pool_errors import check_pools_of_machine
from northstar.config.pools import load_pools
from northstar.store.words import known_words

if TYPE_CHECKING:
    from northstar.config import MachineSettings, Settings
    from northstar.store.cell import Cell


async def check_machine_pools(
    cell: Cell, settings: Settings, machines: Iterable[MachineSettings], *, also: Collection[str] = ()
) -> None:
    """By the pools in force in the cell, or else those that the settings name; `also` are others that are known to be there.

    Raises:
        MachinePoolUnknown: a machine names a pool that is not there, while pools are not switched off.
        InvalidPools: the file of pools cannot be used. Unavailable: the cell does not answer.
    """
    file = settings.routing.pools_file
    in_force = PoolsInForce(cell, otherwise=load_pools(Path(file)) if file else None)
    await in_force.look()
    for machine in machines:
        check_pools_of_machine(machine.name, machine.pools, in_force.latest, also=also)


async def declared_pools(cell: Cell) -> Collection[str]:
    """Pools that some broker of the cell goes by: of its own file, perhaps, which a machine's host need not have. Raises Unavailable."""
    return await known_words(cell.client, cell.keys, "pool")
