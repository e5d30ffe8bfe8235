"""A machine that dials enters the pools whose terms it meets, and is told what follows; else it is refused with every reason."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest

from northstar.agent.link_errors import BrokerRefused
from northstar.agent.websocket_link import WebSocketLink
from northstar.assembly.front import Front, admission_to, running_front
from northstar.assembly.listening import listening_on
from northstar.broker.gateway.pool_door import Entering, PoolDoor
from northstar.broker.pools_in_force import applied_pools
from northstar.config.pools import packaged_text
from northstar.domain.catalogue import CatalogueFile, CatalogueModel, CatalogueVersion
from northstar.domain.machines import Gpu, MachineDescription, MachineProfile
from northstar.domain.pool_terms import PoolTerms
from northstar.domain.pools import Pools
from northstar.policy.fleet.pool_membership import PoolRefusesMachine
from northstar.policy.models.catalogue_index import CatalogueIndex
from northstar.store import pool_census, snapshots, wire
from northstar.store.pool_census import PoolCensus
from northstar.store.snapshots import read_snapshot
from northstar.store.valkey import ValkeyClient
from northstar.surfaces.http.server import open_door
from tests.agent.rig import PROFILE, soon
from tests.broker.gateway.rig import Fleet
from tests.cable import cable
from tests.servers import eventually
from tests.specification.pool_jobs import GB, PACKAGED, with_pool, with_routing

NO_CATALOGUE = CatalogueIndex()
SMALL = MachineDescription(disk_bytes=30 * GB, gpus=(Gpu(index=0, vram_mb=17_175),))


@contextlib.asynccontextmanager
async def front_with(
    fleet: Fleet, pools: Callable[[], Pools], *, catalogue: Callable[[], CatalogueIndex] = lambda: NO_CATALOGUE
) -> AsyncIterator[Front]:
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
            catalogue=catalogue,
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


async def test_a_machine_is_told_which_files_its_pools_keep_as_soon_as_the_catalogue_knows_them(fleet: Fleet) -> None:
    pools = with_pool("standard", models={"keep": ("flux",)})
    version = CatalogueVersion(version="1", files=(CatalogueFile(name="flux-1.safetensors", kind="checkpoint"),))
    model = CatalogueModel(name="flux", versions=(version,), current="1")
    now = [NO_CATALOGUE]
    async with front_with(fleet, lambda: pools, catalogue=lambda: now[0]) as front, fleet.dialling(front.url) as link:
        told: list[PoolTerms] = []
        link.hear_terms = told.append
        await link.register(PROFILE, MachineDescription(), slots=1, models=())
        now[0] = CatalogueIndex([model])
        await soon(lambda: len(told) == 2, "it is told")
        async with fleet.dialling(front.url, "no-folder") as other:
            assert (await registered(other, MachineDescription(keeps_models=False)))[0].keeps == ()
    assert [terms.keeps for terms in told] == [(), ("flux-1.safetensors",)]


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
    census = PoolCensus(fleet.cell.client, fleet.cell.keys)
    assert (await census.taken_for("a")).others("a") == {"standard": 2, "heavy": 1}
    assert (await census.taken_for("c")).others("c") == {"standard": 2, "heavy": 0}
    assert (await census.taken_for("unknown")).others("unknown") == {"standard": 3, "heavy": 1}


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


async def test_of_two_machines_that_register_at_once_the_later_one_leaves_a_pool_that_has_room_for_one(
    fleet: Fleet,
) -> None:
    """Both were let in while the pool was empty; whoever registered first stays, whoever looks first."""
    one_only = with_pool("standard", scaling={"max_machines": 1})
    doors = [PoolDoor(fleet.cell, lambda: one_only) for _ in range(2)]
    body = wire.Registration(profile=PROFILE, description=MachineDescription(), slots=1)
    second, first = [await door.may_enter(name, body) for door, name in zip(doors, ("a", "b"), strict=True)]
    for name in ("b", "a"):
        await (await fleet.link(name)).register(PROFILE, MachineDescription(), slots=1, models=())
    with pytest.raises(PoolRefusesMachine, match=r"machine a may not enter .*it has 1 machines already"):
        await doors[0].has_entered(second)
    await doors[1].has_entered(first)


async def test_a_machine_that_changes_pools_gives_way_though_it_has_been_here_for_longer(fleet: Fleet) -> None:
    one_only = with_pool("standard", scaling={"max_machines": 1})
    door = PoolDoor(fleet.cell, lambda: one_only)
    moving = await fleet.link("old")
    await moving.register(msgspec.structs.replace(PROFILE, pools=("heavy",)), MachineDescription(), slots=1, models=())
    body = wire.Registration(profile=PROFILE, description=MachineDescription(), slots=1)
    new, old = await door.may_enter("new", body), await door.may_enter("old", body)
    await (await fleet.link("new")).register(PROFILE, MachineDescription(), slots=1, models=())
    await door.has_entered(new)
    await moving.register(PROFILE, MachineDescription(), slots=1, models=())
    with pytest.raises(PoolRefusesMachine, match="machine old"):
        await door.has_entered(old)


async def test_of_a_fleet_that_dials_two_brokers_at_once_a_pool_takes_no_more_than_it_may(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All find the pool empty before the first has registered. Who is one too many is told so and is not left registered."""
    two = with_pool("standard", scaling={"max_machines": 2})
    names = [f"m{at}" for at in range(8)]
    may_enter, all_asked = PoolDoor.may_enter, asyncio.Barrier(len(names))

    async def asks(self: PoolDoor, machine: str, body: wire.Registration) -> Entering:
        entering = await may_enter(self, machine, body)
        await asyncio.wait_for(all_asked.wait(), 20)
        return entering

    monkeypatch.setattr(PoolDoor, "may_enter", asks)
    tokens = {name: await fleet.token(name) for name in names}

    async def dials(url: str, name: str) -> bool:
        async with fleet.dialling(url, name, token=tokens[name]) as link:
            try:
                await registered(link, MachineDescription())
            except BrokerRefused as exc:
                assert "as many as it may" in str(exc)  # noqa: PT017 -- others are let in
                return False
            entered.add(name)
            await asyncio.wait_for(all_said.wait(), 20)
            return True

    entered: set[str] = set()
    all_said = asyncio.Event()
    async with front_with(fleet, lambda: two) as one, front_with(fleet, lambda: two) as other:
        tasks = [asyncio.create_task(dials((one, other)[at % 2].url, name)) for at, name in enumerate(names)]
        await soon(lambda: sum(task.done() for task in tasks) == 6, "six are refused")
        assert await machines(fleet) == entered
        all_said.set()
        assert sum(await asyncio.gather(*tasks)) == 2


async def test_however_many_ask_at_once_pools_are_counted_a_few_times(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a storm of registrations reads: not a list of profiles for each machine, but one for all that ask meanwhile."""
    readings: list[int] = []
    read_at_once = snapshots.read_at_once

    async def counted(client: ValkeyClient, commands: list[tuple[Any, ...]]) -> list[Any]:
        readings.append(len(commands[1]) - 2)
        return await read_at_once(client, commands)

    monkeypatch.setattr(pool_census, "read_at_once", counted)
    await (await fleet.link("m0")).register(PROFILE, MachineDescription(), slots=1, models=())
    census = PoolCensus(fleet.cell.client, fleet.cell.keys)
    first = asyncio.create_task(census.taken_for("m0"))
    await asyncio.sleep(0)
    found = await asyncio.gather(*(census.taken_for(f"m{at}") for at in range(500)))
    assert [one.others("m0") for one in (await first, found[0])] == [{"standard": 0}] * 2
    assert (len(readings), sum(readings)) == (1, 500) or (len(readings), sum(readings)) == (2, 501)


async def test_who_asks_while_pools_are_counted_is_told_what_is_so_after_that(fleet: Fleet) -> None:
    census = PoolCensus(fleet.cell.client, fleet.cell.keys)
    before = asyncio.create_task(census.taken_for("m"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # its reading is on its way
    await (await fleet.link("m")).register(PROFILE, MachineDescription(), slots=1, models=())
    assert (await census.taken_for("m")).machines == {"standard": 1}
    await before


async def test_a_pool_that_becomes_exclusive_keeps_machines_that_are_here_from_work_without_pools(
    fleet: Fleet,
) -> None:
    """One source: the pools that hold. The machine is not asked, keeps its session, and goes on waiting for work."""
    now = [with_routing(mode="uniform")]
    async with front_with(fleet, lambda: now[0]) as front, fleet.dialling(front.url) as link:
        await link.register(PROFILE, MachineDescription(), slots=2, models=())
        await fleet.submit("a", pool="uniform")
        await fleet.plan()
        assert [job.id for job in (await link.claim(credits_=1)).jobs] == ["a"]
        exclusive = with_pool("standard", scaling={"exclusive": True, "reserved_share": 1.0})
        now[0] = msgspec.structs.replace(exclusive, routing=now[0].routing)
        await eventually(lambda: is_kept_in(fleet, kept=True), what="the cell knows that it is kept")
        assert await front.gateway.follow_pools() == 0
        assert (await fleet.record("a")).status == "running"
        await fleet.submit("b", pool="uniform")
        await fleet.submit("c")
        await fleet.plan()
        assert [job.id for job in (await link.claim(credits_=1)).jobs] == ["c"]
        now[0] = with_routing(mode="uniform")
        await eventually(lambda: is_kept_in(fleet, kept=False), what="the cell knows that it is not")


async def is_kept_in(fleet: Fleet, *, kept: bool) -> bool:
    view = await read_snapshot(fleet.cell.client, fleet.cell.keys)
    return all(view.profiles[one.profile].exclusive is kept for one in view.machines.values())
