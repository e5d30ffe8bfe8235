"""Progress of many jobs over one connection: to those who want it, as long as they want it, over lost connections."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest_asyncio

from northstar.domain.limits import CellLimits
from northstar.store.cell import Cell
from northstar.store.progress import publish_progress
from northstar.store.progress_channels import MOST_WAITING, Heard, ProgressChannels
from northstar.store.valkey import ValkeyClient
from tests.servers import RunningServer, embedded_valkey, eventually


@pytest_asyncio.fixture
async def server() -> AsyncIterator[RunningServer]:
    async with embedded_valkey() as running:
        yield running


@pytest_asyncio.fixture
async def client(server: RunningServer) -> AsyncIterator[ValkeyClient]:
    async with server.client() as opened:
        yield opened


async def cell_of(client: ValkeyClient) -> Cell:
    cell = Cell(client, f"p{secrets.token_hex(4)}")
    await cell.open(CellLimits())
    return cell


async def said(cell: Cell, job: str, text: bytes) -> None:
    """Say it until somebody has heard it."""

    async def is_heard() -> bool:
        return await publish_progress(cell, job, "1.a.1", text) > 0

    await eventually(is_heard, what=f"somebody listens to {job}")


async def taken(heard: Heard, told: asyncio.Event) -> list[bytes]:
    async with asyncio.timeout(20):
        await told.wait()
    told.clear()
    return [text for _, text in heard.take()]


async def connections(client: ValkeyClient) -> int:
    listed = await client.execute_command("CLIENT", "LIST", "TYPE", "PUBSUB")
    return len(listed) if isinstance(listed, list) else len(listed.splitlines())


async def test_each_hears_its_own_job_over_one_connection_which_ends_with_the_last(client: ValkeyClient) -> None:
    cell = await cell_of(client)
    channels, told = ProgressChannels(cell), [asyncio.Event(), asyncio.Event()]
    with channels.listening("a", told[0].set) as a, channels.listening("b", told[1].set) as b:
        await said(cell, "a", b"of a")
        await said(cell, "b", b"of b")
        assert set(await taken(a, told[0])) == {b"of a"}
        assert set(await taken(b, told[1])) == {b"of b"}
        assert await connections(client) == 1

    async def is_closed() -> bool:
        return await connections(client) == 0

    await eventually(is_closed, what="the connection is closed")
    assert await publish_progress(cell, "a", "1.a.1", b"of a") == 0
    await channels.close()


async def test_a_lost_connection_costs_only_what_was_said_meanwhile(client: ValkeyClient) -> None:
    cell = await cell_of(client)
    channels, told = ProgressChannels(cell), asyncio.Event()
    with channels.listening("a", told.set) as heard:
        await said(cell, "a", b"before")
        assert b"before" in await taken(heard, told)
        await client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        await said(cell, "a", b"after")
        assert b"after" in await taken(heard, told)
    await channels.close()


async def test_who_takes_nothing_keeps_the_latest(client: ValkeyClient) -> None:
    heard = Heard(lambda: None)
    for number in range(MOST_WAITING + 5):
        heard.hear("1.a.1", b"%d" % number)
    texts = [text for _, text in heard.take()]
    assert (len(texts), texts[-1]) == (MOST_WAITING, b"%d" % (MOST_WAITING + 4))
    assert heard.take() == []
