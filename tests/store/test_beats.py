"""Numbers of brokers, who hears their bells, and which machines they hold: on one server and on a cluster."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest

from northstar.domain.limits import CellLimits
from northstar.domain.machines import MachineProfile
from northstar.store.beats import PER_ROUND, beat, end_beats, heard_brokers, machines_held_by
from northstar.store.bells import listen
from northstar.store.cell import Cell
from northstar.store.valkey import connect
from tests.servers import RunningServer

PROFILE = MachineProfile(pools=("standard",), services=("s",))


@pytest.fixture(params=["one server", "a cluster"])
async def cell(
    request: pytest.FixtureRequest, valkey_server: RunningServer, cluster_server: RunningServer
) -> AsyncIterator[Cell]:
    server = valkey_server if request.param == "one server" else cluster_server
    client = connect(server.url)
    try:
        opened = Cell(client, f"beats-{secrets.token_hex(4)}")
        await opened.open(CellLimits())
        yield opened
    finally:
        await client.aclose()


async def test_each_beat_counts_up_and_tells_of_the_others(cell: Cell) -> None:
    assert await beat(cell, "a") == {}
    assert await beat(cell, "b") == {"a": 1}
    await beat(cell, "a")
    assert await beat(cell, "b") == {"a": 2}


async def test_a_number_is_taken_away_by_one(cell: Cell) -> None:
    await beat(cell, "a")
    taken = await asyncio.gather(*(end_beats(cell, "a") for _ in range(5)))
    assert sorted(taken) == [False, False, False, False, True]
    assert await beat(cell, "b") == {}


async def test_a_broker_is_heard_as_long_as_it_listens(cell: Cell) -> None:
    hears = asyncio.Event()

    async def hear() -> None:
        async for _ in listen(cell.client, cell.keys, ("a",)):
            hears.set()

    hearing = asyncio.create_task(hear())
    await hears.wait()
    assert await heard_brokers(cell, ["a", "b"]) == {"a"}
    hearing.cancel()
    await asyncio.wait({hearing})
    assert await heard_brokers(cell, []) == frozenset()


async def test_machines_are_found_by_their_broker_in_more_than_one_round(cell: Cell) -> None:
    count = PER_ROUND + 60
    await asyncio.gather(*(_registered(cell, f"m{n}", holder="a" if n % 2 else "b") for n in range(count)))
    found = await machines_held_by(cell, {"a", "c"})
    assert [machine.id for machine in found] == sorted(f"m{n}" for n in range(1, count, 2))
    assert {(machine.holder, machine.session, machine.used) for machine in found} == {("a", "its", 0)}


async def _registered(cell: Cell, machine: str, *, holder: str) -> None:
    await cell.register_machine(
        machine=machine,
        session="its",
        profile=PROFILE.canonical(),
        fits=(),
        slots=1,
        vram_mb=0,
        holder=holder,
        description="{}",
        words=PROFILE.words(),
        nonce=machine,
    )
