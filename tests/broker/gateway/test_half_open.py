"""Connections that are open on one side only: a router forgot them, a peer vanished without a word. Nobody waits for them for long."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import aiohttp
import msgspec
import pytest

from northstar.agent.websocket_link import WebSocketLink
from northstar.domain.machines import MachineDescription
from northstar.store import wire
from tests.agent.rig import PROFILE, Runs, nonce, soon
from tests.broker.gateway.rig import LINK, Fleet
from tests.cable import Cable, cable

#: As by default, only sooner: the machine misses its broker before the broker gives the machine up.
QUICK = msgspec.structs.replace(LINK, ping_every_s=0.4, patience_s=5.0)
BROKER = {"ping_every_s": 0.3, "ping_timeout_s": 0.4, "grace_s": 1.5}


@contextlib.asynccontextmanager
async def far_machine(fleet: Fleet) -> AsyncIterator[tuple[Cable, WebSocketLink]]:
    """A machine that reaches the broker over a cable."""
    async with (
        fleet.dispatching(),
        fleet.front(**BROKER) as front,
        cable(int(front.url.rpartition(":")[2])) as line,
        fleet.dialling(line.url, options=QUICK) as link,
    ):
        yield line, link


async def test_a_machine_whose_connection_was_forgotten_on_the_way_dials_anew_and_keeps_its_job(fleet: Fleet) -> None:
    runs = Runs()
    async with far_machine(fleet) as (line, link), fleet.working(fleet.worker(link, runs)):
        await fleet.submit("a")
        await soon(lambda: runs.ids == ["a"], "a runs")
        before = await fleet.record("a")
        dialled = line.dialled
        line.forget()
        await soon(lambda: line.dialled > dialled, "the machine dials anew")
        await asyncio.sleep(BROKER["grace_s"])  # in which it would have been given up
        runs.finish("a")
        await fleet.becomes("a", "succeeded")
    after = await fleet.record("a")
    assert (after.attempts, after.recoveries, after.claims) == (0, 0, before.claims)
    assert runs.canceled == []


async def test_work_that_was_handed_to_a_connection_nobody_hears_is_done_all_the_same_and_charged_to_nobody(
    fleet: Fleet,
) -> None:
    runs = Runs()
    async with far_machine(fleet) as (line, link), fleet.working(fleet.worker(link, runs)):
        await soon(lambda: line.dialled == 1, "the machine has dialled")
        await fleet.submit("first")
        await soon(lambda: runs.ids == ["first"], "the machine works")
        line.forget()
        await fleet.submit("a", "b")
        await soon(lambda: set(runs.ids) == {"first", "a", "b"}, "all run")
        for job in ("first", "a", "b"):
            runs.finish(job)
            await fleet.becomes(job, "succeeded")
    for job in ("first", "a", "b"):
        record = await fleet.record(job)
        assert (record.attempts, record.recoveries) == (0, 0)


def called(name: str, body: msgspec.Struct) -> wire.Call:
    return wire.Call(1, name, msgspec.Raw(msgspec.msgpack.encode(body)))


async def said(socket: aiohttp.ClientWebSocketResponse, frame: wire.FromAgent) -> None:
    """Send a frame, and wait until something comes back that is no ping."""
    await socket.send_bytes(msgspec.msgpack.encode(frame))
    while (await socket.receive(timeout=5)).type is not aiohttp.WSMsgType.BINARY:
        pass


async def test_a_peer_that_stops_reading_and_answering_is_given_up_and_its_job_goes_to_another(fleet: Fleet) -> None:
    runs = Runs()
    async with fleet.dispatching(), fleet.front(**BROKER) as front, aiohttp.ClientSession() as http:
        headers = {"Authorization": f"Bearer {await fleet.token('mute')}"}
        async with http.ws_connect(front.url + "/agent/v1/link", headers=headers, autoping=False) as socket:
            await said(socket, wire.Hello(1, 1, "mute", nonce()))
            registration = wire.Registration(profile=PROFILE, description=MachineDescription(), slots=1)
            await said(socket, called("register", registration))
            await fleet.submit("a")
            await fleet.plan()
            await said(socket, called("claim", wire.Claim(1, nonce())))
            assert await fleet.status("a") == "running"
            # It says nothing more and answers no ping, but its side of the connection stays open.
            async with fleet.dialling(front.url, "other") as other, fleet.working(fleet.worker(other, runs)):
                await soon(lambda: runs.ids == ["a"], "the other one runs it")
                runs.finish("a")
                await fleet.becomes("a", "succeeded")
                await soon(lambda: front.gateway.machines == ("other",), "the connection is closed")
    record = await fleet.record("a")
    assert (record.attempts, record.recoveries) == (0, 1)


@pytest.mark.parametrize("what", ["nothing", "half a handshake"])
async def test_who_connects_and_says_nothing_holds_up_nobody(fleet: Fleet, what: str) -> None:
    runs = Runs()
    async with fleet.dispatching(), fleet.front(**BROKER) as front:
        host, port = front.url.removeprefix("http://").split(":")
        silent = [await asyncio.open_connection(host, int(port)) for _ in range(20)]
        for _, writer in silent:
            writer.write(b"" if what == "nothing" else b"GET /agent/v1/link HTTP/1.1\r\nUpgrade: websocket\r\n")
        async with fleet.dialling(front.url) as link, fleet.working(fleet.worker(link, runs)):
            await fleet.submit("a")
            await soon(lambda: runs.ids == ["a"], "a runs")
            runs.finish("a")
            await fleet.becomes("a", "succeeded")
        for _, writer in silent:
            writer.transport.abort()
