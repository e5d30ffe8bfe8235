"""A machine with a misspelt pool is refused by name: no job would ever come to it."""

from __future__ import annotations

import msgspec
import pytest

from northstar.agent.link_errors import BrokerRefused
from northstar.assembly.machine_pools import check_machine_pools, declared_pools
from northstar.broker.pools_in_force import applied_pools
from northstar.config import MachineSettings, Settings
from northstar.config.pool_errors import MachinePoolUnknown
from northstar.config.pools import packaged_text
from northstar.domain.machines import MachineDescription
from tests.agent.rig import PROFILE
from tests.broker.gateway.rig import Fleet
from tests.broker.gateway.test_pools import front_with, machines, registered
from tests.specification.pool_jobs import PACKAGED, with_routing

MISSPELT = msgspec.structs.replace(PROFILE, pools=("haevy",))
NIGHT_SHIFT = '\n[pools.night-shift]\npurpose = "cheap power"\nmodels = { takes = ["image"] }\n'


async def test_it_is_refused_at_its_registration_with_the_name_that_was_meant(fleet: Fleet) -> None:
    await fleet.opened()
    token = await fleet.token(pools=("haevy",))
    async with front_with(fleet, lambda: PACKAGED) as front, fleet.dialling(front.url, token=token) as link:
        with pytest.raises(
            BrokerRefused,
            match=r"machine m names pool 'haevy', which is not in force \(there are lightning, .*\); did you mean 'heavy'\?: correct",
        ):
            await registered(link, MachineDescription(), MISSPELT)
        assert await machines(fleet) == set()


async def test_while_pools_are_switched_off_its_name_matters_to_nobody(fleet: Fleet) -> None:
    await fleet.opened()
    token = await fleet.token(pools=("haevy",))
    uniform = with_routing(mode="uniform")
    async with front_with(fleet, lambda: uniform) as front, fleet.dialling(front.url, token=token) as link:
        await registered(link, MachineDescription(), MISSPELT)
        assert await machines(fleet) == {"m"}


def named(pool: str) -> MachineSettings:
    return MachineSettings(name="m", services=("picture",), pools=(pool,))


async def checked(fleet: Fleet, settings: Settings, pool: str) -> None:
    await check_machine_pools(fleet.cell, settings, [named(pool)])


async def test_machines_of_settings_are_checked_by_the_pools_that_are_applied_to_the_cell(fleet: Fleet) -> None:
    settings = fleet.settings()
    cell = await fleet.opened()
    with pytest.raises(MachinePoolUnknown):
        await checked(fleet, settings, "night-shift")
    files = applied_pools(cell)
    await files.apply(packaged_text() + NIGHT_SHIFT, source="mine.toml", known=None, by="ann")
    await checked(fleet, settings, "night-shift")
    with pytest.raises(MachinePoolUnknown, match="did you mean 'night-shift'"):
        await checked(fleet, settings, "nightshift")
    off = packaged_text().replace('mode = "pools"', 'mode = "uniform"')
    await files.apply(off, source="off.toml", known=await files.current(), by="ann")
    await checked(fleet, settings, "nightshift")


async def test_a_machine_straight_at_the_cell_may_name_a_pool_of_a_file_that_only_its_brokers_have(
    fleet: Fleet,
) -> None:
    cell = await fleet.opened()
    await cell.declare(["pool:night-shift"], by="serve")
    await check_machine_pools(cell, fleet.settings(), [named("night-shift")], also=await declared_pools(cell))
    with pytest.raises(MachinePoolUnknown):
        await check_machine_pools(cell, fleet.settings(), [named("haevy")], also=await declared_pools(cell))
