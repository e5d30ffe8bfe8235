"""A task that is cancelled in the middle of a command ends, whenever that is, and the client goes on working."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from northstar.store.valkey import ValkeyClient, connect
from northstar.store.valkey.connections import TcpConnection, UnixConnection
from tests import servers
from tests.servers import RunningServer


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["one", "cluster"])
async def server(request: pytest.FixtureRequest) -> AsyncIterator[RunningServer]:
    running = servers.embedded_valkey() if request.param == "one" else servers.cluster()
    async with running as started:
        yield started


@pytest_asyncio.fixture
async def client(server: RunningServer) -> AsyncIterator[ValkeyClient]:
    client = connect(server.url)
    try:
        await client.execute_command("SET", "key", "0")
        yield client
    finally:
        await client.aclose()


@pytest.mark.parametrize("turns", range(12))
async def test_a_cancellation_at_any_moment_of_a_command_ends_the_task(client: ValkeyClient, turns: int) -> None:
    task = asyncio.create_task(client.execute_command("GET", "key"))
    for _ in range(turns):
        await asyncio.sleep(0)
    if not task.done():
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await client.execute_command("SET", "key", str(turns))
    assert await client.execute_command("GET", "key") == str(turns).encode()


async def test_a_cancellation_just_when_the_command_has_been_sent_is_not_lost(
    client: ValkeyClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    task: asyncio.Task[object] | None = None

    def cancelling_after(kind: type[TcpConnection | UnixConnection]) -> None:
        sends = kind._send_packed_command

        async def send(self: TcpConnection, command: object) -> None:
            await sends(self, command)  # type: ignore[arg-type]
            if task is not None and not task.cancelling():
                task.cancel()

        monkeypatch.setattr(kind, "_send_packed_command", send)

    cancelling_after(TcpConnection)
    cancelling_after(UnixConnection)
    task = asyncio.create_task(client.execute_command("GET", "key"))
    with pytest.raises(asyncio.CancelledError):
        await task
    task = None
    assert await client.execute_command("GET", "key") == b"0"


@pytest.mark.parametrize("number", range(8))
async def test_a_cancellation_that_a_signal_asks_for_while_the_task_is_at_work_is_not_lost(
    client: ValkeyClient, number: int
) -> None:
    """So Ctrl-C comes: the task runs, and is told at its next wait, which may be that of a command."""

    async def work() -> None:
        for _ in range(number):
            await client.execute_command("GET", "key")
        current = asyncio.current_task()
        assert current is not None
        current.cancel()
        await client.execute_command("GET", "key")
        raise AssertionError("it went on")

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(work())
    assert await client.execute_command("GET", "key") == b"0"
