"""Bells: what their words mean, and that whoever listens learns of every connection anew."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest

from northstar.domain.jobs import ClaimedJob
from northstar.store.bells import (
    Approved,
    Canceled,
    Connected,
    DocumentsChanged,
    Due,
    MachineChanged,
    Offered,
    PlanDue,
    Revoked,
    Ring,
    listen,
    read_ring,
)
from northstar.store.embedded import EmbeddedValkey
from northstar.store.keys import CellKeys
from northstar.store.valkey import ClientOptions, ValkeyClient
from tests.servers import RunningServer, eventually

JOB = ["j", "1.n.1", 1, 0, 30_000, "{}"]


@pytest.mark.parametrize(
    ("holder", "word", "ring"),
    [
        ("m", "m", Offered("m")),
        ("m", ["offer", "m", [JOB]], Offered("m", (ClaimedJob("j", "1.n.1", 1, 0, 30_000, "{}"),))),
        ("m", ["cancel", "j", "1.n.1", "m"], Canceled("j", "1.n.1", "m")),
        ("m", ["draining", "m"], MachineChanged("m", "draining")),
        ("m", ["active", "m"], MachineChanged("m", "active")),
        ("tick", ["approved", "m"], Approved("m")),
        ("tick", ["revoked", "m"], Revoked("m")),
        ("m", ["revoked", "m"], Revoked("m")),
        ("tick", 250, Due(250)),
        ("tick", 0.0, Due(0)),
        ("tick", ["plan"], PlanDue()),
        ("tick", ["documents"], DocumentsChanged()),
        ("m", 250, None),
        ("m", ["word of a newer library", 1], None),
        ("m", None, None),
        ("m", {"a": 1}, None),
    ],
)
def test_words_mean(holder: str, word: Any, ring: Ring | None) -> None:
    assert read_ring(holder, word) == ring


class Listener:
    """Collects what it hears until it is left."""

    def __init__(self, client: ValkeyClient, **settings: float) -> None:
        self.keys = CellKeys(f"b{secrets.token_hex(6)}")
        self.heard: list[Ring] = []
        self._client = client
        self._settings = settings

    async def run(self) -> None:
        async for ring in listen(self._client, self.keys, ("m", "tick"), **self._settings):
            self.heard.append(ring)

    async def ring(self, holder: str, *words: Any) -> None:
        await self._client.execute_command("SPUBLISH", self.keys.bell(holder), msgspec.msgpack.encode(words))

    async def hears(self, is_so: Callable[[list[Ring]], bool], what: str) -> None:
        async def ask() -> bool:
            return is_so(self.heard)

        await eventually(ask, what=what)

    async def is_connected(self, times: int) -> None:
        await self.hears(lambda heard: heard.count(Connected()) >= 2 * times, f"{times} connections")


@contextlib.asynccontextmanager
async def listening(server: RunningServer, **settings: float) -> AsyncIterator[Listener]:
    options = ClientOptions(connect_timeout_s=0.5)
    async with server.client(options) as client:
        listener = Listener(client, **settings)
        task = asyncio.create_task(listener.run())
        try:
            yield listener
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_what_is_rung_is_heard_in_order(valkey_server: RunningServer) -> None:
    async with listening(valkey_server) as listener:
        await listener.is_connected(1)
        await listener.ring("m", "m", ["cancel", "j", "t", "m"])
        await listener.ring("tick", 7)
        await listener.hears(lambda heard: Due(7) in heard, "the last ring")
        assert listener.heard[2:] == [Offered("m"), Canceled("j", "t", "m"), Due(7)]


async def test_a_connection_that_is_cut_is_made_again_and_told(valkey_server: RunningServer) -> None:
    async with listening(valkey_server) as listener:
        await listener.is_connected(1)
        await listener._client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        await listener.is_connected(2)
        await listener.ring("m", "m")
        await listener.hears(lambda heard: Offered("m") in heard, "a ring on the new connection")


async def test_silence_alone_does_not_end_a_connection(valkey_server: RunningServer) -> None:
    async with listening(valkey_server, silence_s=0.05) as listener:
        await listener.is_connected(1)
        await asyncio.sleep(0.5)
        await listener.ring("m", "m")
        await listener.hears(lambda heard: Offered("m") in heard, "a ring after ten silences")
        assert listener.heard.count(Connected()) == 2


async def test_a_connection_outlives_the_time_that_an_answer_may_take(valkey_server: RunningServer) -> None:
    options = ClientOptions(answer_timeout_s=0.1)
    async with valkey_server.client(options) as client:
        listener = Listener(client)
        task = asyncio.create_task(listener.run())
        await listener.is_connected(1)
        await asyncio.sleep(0.5)
        await listener.ring("m", "m")
        await listener.hears(lambda heard: Offered("m") in heard, "a ring after five time-outs")
        assert listener.heard.count(Connected()) == 2
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_server_that_hangs_is_given_up_and_found_again() -> None:
    async with EmbeddedValkey() as server, listening(RunningServer(server.url), silence_s=0.1) as listener:
        await listener.is_connected(1)
        os.kill(server.pid, signal.SIGSTOP)
        await asyncio.sleep(0.5)
        os.kill(server.pid, signal.SIGCONT)
        await listener.is_connected(2)


async def test_a_listener_in_a_cluster_hears_the_node_of_its_cell(cluster_server: RunningServer) -> None:
    async with listening(cluster_server) as listener:
        await listener.is_connected(1)
        await listener.ring("m", "m")
        await listener.hears(lambda heard: Offered("m") in heard, "a ring in a cluster")
