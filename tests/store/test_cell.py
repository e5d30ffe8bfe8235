"""A cell through a client: refusals as types, a library that is missing, servers that come back as others."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from northstar.domain.errors import NorthstarError, Unavailable
from northstar.domain.events import EventId
from northstar.domain.limits import CellLimits
from northstar.domain.refusals import LibraryChanged, NoSuchMachine, UnknownWord
from northstar.store.cell import Cell
from northstar.store.embedded import EmbeddedValkey, RestartPolicy, ServerOptions
from northstar.store.events import read_events
from northstar.store.function_library import build
from northstar.store.messages import WantedJob, WantedLane
from northstar.store.valkey import ValkeyClient
from tests.servers import RunningServer, eventually

LANE = WantedLane(key="lane", class_="class", pool="standard", vram_mb=0, words=())


@pytest_asyncio.fixture
async def client(valkey_server: RunningServer) -> AsyncIterator[ValkeyClient]:
    async with valkey_server.client() as opened:
        yield opened


def fresh(client: ValkeyClient) -> Cell:
    return Cell(client, f"c{secrets.token_hex(6)}")


def job(name: str) -> WantedJob:
    return WantedJob(
        id=name,
        lane=1,
        tenant="t",
        weight=1.0,
        cost=1.0,
        priority=50,
        max_attempts=1,
        max_recoveries=1,
        start_within_ms=0,
        finish_within_ms=0,
        backoff_base_ms=0,
        backoff_cap_ms=0,
        retention_ms=1_000,
        idempotency_key="",
        digest=name,
        body="{}",
    )


async def test_a_refusal_is_an_error_of_its_own_type_with_its_facts(client: ValkeyClient) -> None:
    cell = fresh(client)
    await cell.open(CellLimits())
    with pytest.raises(NoSuchMachine, match="machine ghost is not registered in this cell") as refused:
        await cell.claim(machine="ghost", session="s", credits_=1, nonce="n", park=False)
    assert refused.value.facts == {"machine": "ghost"}
    with pytest.raises(UnknownWord, match="no machine here has offered service:unheard yet"):
        await cell.submit(
            jobs=[job("a")],
            lanes=[WantedLane(key="k", class_="c", pool="p", vram_mb=0, words=("service:unheard",))],
            nonce="n",
        )


async def test_a_cell_must_be_opened_before_it_is_used_again(client: ValkeyClient) -> None:
    cell = fresh(client)
    cell._must_open = True
    with pytest.raises(NorthstarError, match="open the cell before it is used"):
        await cell.statistics()


async def test_a_library_that_was_flushed_is_loaded_again_by_the_call_that_misses_it() -> None:
    async with EmbeddedValkey() as server, RunningServer(server.url).client() as client:
        cell = fresh(client)
        await cell.open(CellLimits())
        await client.execute_command("FUNCTION", "FLUSH")
        assert (await cell.statistics()).counts["submitted"] == 0


async def test_a_library_of_another_build_is_refused_and_nothing_replaced() -> None:
    async with EmbeddedValkey() as server, RunningServer(server.url).client() as client:
        cell = fresh(client)
        await cell.open(CellLimits())
        other = build().source.replace(build().digest, "f" * 16)
        await client.execute_command("FUNCTION", "LOAD", "REPLACE", other)
        with pytest.raises(LibraryChanged, match="another build of the function library"):
            await cell.statistics()


async def test_a_client_that_slept_through_a_restart_writes_its_events_under_a_new_epoch() -> None:
    options = ServerOptions(fsync="always", restart=RestartPolicy(first_delay_s=0.05))
    async with EmbeddedValkey(options=options) as server, RunningServer(server.url).client() as client:
        cell = fresh(client)
        await cell.open(CellLimits())
        await cell.submit(jobs=[job("before")], lanes=[LANE], nonce="n1")
        await killed_and_back(server)
        await cell.submit(jobs=[job("after")], lanes=[LANE], nonce="n2")
        epochs = [event.id.epoch for event in await read_events(client, cell.keys, after=EventId(0, 0))]
        assert epochs == [1, 2]


async def test_calls_fail_while_the_server_is_away_and_work_when_it_is_back_without_help() -> None:
    options = ServerOptions(fsync="always", restart=RestartPolicy(first_delay_s=0.5))
    async with EmbeddedValkey(options=options) as server, RunningServer(server.url).client() as client:
        cell = fresh(client)
        await cell.open(CellLimits())
        before = server.pid
        os.kill(before, signal.SIGKILL)
        with pytest.raises(Unavailable):
            await until_refused(cell)
        await back(server, before)
        assert (await cell.statistics()).counts["epoch"] == 2


async def until_refused(cell: Cell) -> None:
    for _ in range(1_000):
        await cell.statistics()
        await asyncio.sleep(0)


# These servers sync every write: with `everysec` a slow disk may hold writes back, and `SIGKILL` then loses the cell itself.
async def killed_and_back(server: EmbeddedValkey) -> None:
    before = server.pid
    os.kill(before, signal.SIGKILL)
    await back(server, before)


async def back(server: EmbeddedValkey, before: int) -> None:
    async def is_back() -> bool:
        try:
            return server.pid != before and (await server.health()).is_well
        except Unavailable:
            return False

    await eventually(is_back, what="the server is back")
