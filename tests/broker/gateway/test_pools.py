"""A machine that dials enters the pools whose terms it meets, and is told what follows; else it is refused with every reason."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest

from northstar.agent.link_errors import BrokerRefused
from northstar.agent.websocket_link import WebSocketLink
from northstar.assembly.front import Front, admission_to, running_front
from northstar.assembly.listening import listening_on
from northstar.broker.pools_in_force import applied_pools
from northstar.config.pools import packaged_text
from northstar.domain.machines import Gpu, MachineDescription, MachineProfile
from northstar.domain.pool_terms import PoolTerms
from northstar.domain.pools import Pools
from northstar.store.pool_census import count_others
from northstar.store.snapshots import read_snapshot
from northstar.surfaces.http.server import open_door
from tests.agent.rig import PROFILE, soon
from tests.broker.gateway.rig import Fleet
from tests.cable import cable
from tests.servers import eventually
from tests.specification.pool_jobs import GB, PACKAGED, with_pool, with_routing

SMALL = MachineDescription(disk_bytes=30 * GB, gpus=(Gpu(index=0, vram_mb=17_175),))


@contextlib.asynccontextmanager
async def front_with(fleet: Fleet, pools: Callable[[], Pools]) -> AsyncIterator[Front]:
    settings = fleet.settings()
    cell = await fleet.opened()
    with listening_on(settings.serve) as listening:
        opening = running_front(
            settings,
            cell,
            admission_to(cell),
            listening=listening,
            open_door=open_door,
            pools=pools,
            also_hear=lambda _: None,
        )
        async with opening as front:
            yield front


async def registered(
    link: WebSocketLink, description: MachineDescription, profile: MachineProfile = PROFILE
) -> list[PoolTerms]:
    told: list[PoolTerms] = []
    link.hear_terms = told.append
    await link.register(profile, description, slots=1, models=())
    return told


async def machines(fleet: Fleet) -> set[str]:
    return set((await read_snapshot(fleet.cell.client, fleet.cell.keys)).machines)


async def test_a_machine_whose_disk_is_too_small_is_refused_and_not_registered(fleet: Fleet) -> None:
    """Spec, Standard: "120-200GB"."""
    async with fleet.front() as front, fleet.dialling(front.url) as link:
        with pytest.raises(
            BrokerRefused,
            match=r"machine m may not enter \(pool standard: it has 30.0 GB of disk.*NS_POOL_REFUSES_MACHINE",
        ):
            await registered(link, SMALL)
        assert await machines(fleet) == set()


async def test_the_same_machine_may_come_once_the_pool_asks_for_less(fleet: Fleet) -> None:
    now = [PACKAGED]
    async with front_with(fleet, lambda: now[0]) as front, fleet.dialling(front.url) as link:
        with pytest.raises(BrokerRefused, match="NS_POOL_REFUSES_MACHINE"):
            await registered(link, SMALL)
        now[0] = with_pool("standard", storage={"min_gb": 20, "max_gb": 25}, engine={"environment": {"A": "1"}})
        assert await registered(link, SMALL) == [PoolTerms(max_disk_bytes=25 * GB, environment={"A": "1"})]
        assert await machines(fleet) == {"m"}


async def test_a_machine_is_told_its_terms_again_when_it_comes_back(fleet: Fleet) -> None:
    told: list[PoolTerms] = []
    async with (
        fleet.front() as front,
        cable(int(front.url.rpartition(":")[2])) as line,
        fleet.dialling(line.url) as link,
    ):
        link.hear_terms = told.append
        await link.register(PROFILE, MachineDescription(), slots=1, models=())
        line.snap()
        await soon(lambda: len(told) == 2, "it has come back")
    assert told == [PoolTerms(max_disk_bytes=200 * GB)] * 2


async def test_machines_that_are_here_are_told_of_pools_that_change_and_only_of_what_concerns_them(
    fleet: Fleet,
) -> None:
    now = [PACKAGED]
    async with front_with(fleet, lambda: now[0]) as front, fleet.dialling(front.url) as link:
        told: list[PoolTerms] = []
        link.hear_terms = told.append
        await link.register(PROFILE, MachineDescription(), slots=1, models=())
        now[0] = with_pool("heavy", storage={"max_gb": 400})
        front.gateway.tell_changed_terms()
        now[0] = with_pool("standard", storage={"max_gb": 150})
        await soon(lambda: len(told) == 2, "it is told")
    assert [terms.max_disk_bytes for terms in told] == [200 * GB, 150 * GB]


async def test_any_machine_may_come_while_pools_are_off(fleet: Fleet) -> None:
    """Spec: "Pool routing can fall back to uniform machine distribution"."""
    async with front_with(fleet, lambda: with_routing(mode="uniform")) as front, fleet.dialling(front.url) as link:
        assert await registered(link, SMALL) == [PoolTerms()]


async def test_a_pool_that_is_full_takes_no_further_machine_but_keeps_those_it_has(fleet: Fleet) -> None:
    """Spec, Research: "Very low machine count"."""
    one_only = with_pool("standard", scaling={"max_machines": 1})
    async with (
        front_with(fleet, lambda: one_only) as front,
        fleet.dialling(front.url, "first") as first,
        fleet.dialling(front.url, "second") as second,
    ):
        await registered(first, MachineDescription())
        with pytest.raises(BrokerRefused, match="pool standard: it has 1 machines already, as many as it may"):
            await registered(second, MachineDescription())
        await registered(first, MachineDescription(region="eu"))
        await first.leave(because="test")
        await registered(second, MachineDescription())


async def test_machines_are_counted_by_pool_without_the_one_that_asks(fleet: Fleet) -> None:
    both = msgspec.structs.replace(PROFILE, pools=("standard", "heavy"))
    for name, profile in (("a", PROFILE), ("b", PROFILE), ("c", both)):
        link = await fleet.link(name)
        await link.register(profile, MachineDescription(), slots=1, models=())
    keys = fleet.cell.keys
    assert dict(await count_others(fleet.cell.client, keys, "a")) == {"standard": 2, "heavy": 1}
    assert dict(await count_others(fleet.cell.client, keys, "c")) == {"standard": 2, "heavy": 0}
    assert dict(await count_others(fleet.cell.client, keys, "unknown")) == {"standard": 3, "heavy": 1}


async def test_pools_that_are_applied_hold_for_the_next_machine_without_a_restart(fleet: Fleet) -> None:
    """The issue: "Operators edit, check, diff and reload them live"."""
    async with fleet.front() as front:
        smaller = packaged_text().replace("min_gb = 120", "min_gb = 20")
        await applied_pools(fleet.cell).apply(smaller, source="pools.toml", known=None, by="ann")

        async def enters() -> bool:
            async with fleet.dialling(front.url) as link:
                with contextlib.suppress(BrokerRefused):
                    await registered(link, SMALL)
                return await machines(fleet) == {"m"}

        await eventually(enters, what="the machine may enter")


async def test_a_region_that_nobody_granted_counts_for_no_work_that_is_bound_to_regions(fleet: Fleet) -> None:
    """A stranger may say that it stands in the right country; people are shown that, and routing does not believe it."""
    said = msgspec.structs.replace(PROFILE, region="eu")
    async with fleet.front() as front, fleet.dialling(front.url) as link:
        await registered(link, MachineDescription(region="eu"), said)
        view = await read_snapshot(fleet.cell.client, fleet.cell.keys)
    (machine,) = view.machines.values()
    assert (view.profiles[machine.profile].region, machine.description.region) == ("", "eu")
