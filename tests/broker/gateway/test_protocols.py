"""Agents and brokers of different ages: served in the newest protocol that both speak, or told which of them to upgrade."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from northstar.agent.link_errors import ProtocolUnknown
from northstar.domain.machines import MachineDescription
from northstar.store import wire
from tests.agent.rig import PROFILE
from tests.broker.gateway.rig import Fleet
from tests.northstar_command import Northstar

SETTINGS = """
[services.rest]
connector = "simulated"
run = { kind = "fixed", seconds = 0.0 }
"""
#: An agent of before the first version that this build knows.
OLD_AGENT = """
from northstar.store import wire
wire.OLDEST_PROTOCOL = wire.NEWEST_PROTOCOL = 0
from northstar.surfaces.cli import main
main()
"""


async def answer(fleet: Fleet, url: str, *, oldest: int, newest: int) -> wire.FromBroker:
    """What an agent is told that speaks these versions."""
    headers = {"Authorization": f"Bearer {await fleet.token('m')}"}
    async with aiohttp.ClientSession() as http, http.ws_connect(url + "/agent/v1/link", headers=headers) as socket:
        await socket.send_bytes(msgspec.msgpack.encode(wire.Hello(oldest, newest, "m", "s")))
        told: wire.FromBroker = msgspec.msgpack.decode(await socket.receive_bytes(timeout=5), type=wire.FromBroker)
        return told


async def test_an_agent_that_speaks_ours_among_others_is_served(fleet: Fleet) -> None:
    async with fleet.front() as front:
        for oldest, newest in ((1, 1), (0, 1), (1, 2), (0, 99)):
            told = await answer(fleet, front.url, oldest=oldest, newest=newest)
            assert isinstance(told, wire.Welcome)
            assert told.protocol == 1


async def test_an_agent_that_does_not_speak_ours_is_told_who_is_too_old(fleet: Fleet) -> None:
    refused = {(0, 0): "agent", (-3, 0): "agent", (1, 0): "agent", (2, 2): "broker", (2, 9): "broker", (2, 1): "broker"}
    async with fleet.front() as front:
        for (oldest, newest), who in refused.items():
            told = await answer(fleet, front.url, oldest=oldest, newest=newest)
            assert isinstance(told, wire.Goodbye)
            assert (told.code, told.retryable) == ("NS_PROTOCOL_MISMATCH", False)
            spoken = f"the agent speaks protocol {oldest} to {newest}, the broker 1 to 1"
            assert told.sentence == f"{spoken}; upgrade the {who}"


async def test_a_newer_broker_speaks_an_older_agents_protocol(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "NEWEST_PROTOCOL", 3)
    chosen = {}
    async with fleet.front() as front:
        for oldest, newest in ((0, 1), (1, 2), (2, 9), (3, 3)):
            told = await answer(fleet, front.url, oldest=oldest, newest=newest)
            assert isinstance(told, wire.Welcome)
            chosen[oldest, newest] = told.protocol
    assert chosen == {(0, 1): 1, (1, 2): 2, (2, 9): 3, (3, 3): 3}


async def test_an_old_agent_ends_with_the_reason(fleet: Fleet, tmp_path: Path) -> None:
    old = (sys.executable, "-P", "-c", OLD_AGENT)
    host = Northstar(tmp_path / "host", settings=SETTINGS, program=old)
    (host.folder / "token").write_text(await fleet.token("m"))
    async with fleet.front() as front:
        arguments = (
            "agent",
            "m",
            "--broker",
            front.url,
            "--token-file",
            str(host.folder / "token"),
            "--service",
            "rest",
        )
        answer = await asyncio.to_thread(host.run, *arguments)
    assert answer.code != 0
    assert "the agent speaks protocol 0 to 0, the broker 1 to 1; upgrade the agent" in answer.err
    assert "NS_PROTOCOL_MISMATCH" in answer.err


async def test_an_agent_does_not_guess_at_a_protocol_that_it_did_not_offer(fleet: Fleet) -> None:
    async def welcome(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive_bytes()
        await socket.send_bytes(msgspec.msgpack.encode(wire.Welcome(7, "serve-odd", fleet.name)))
        await socket.receive()
        return socket

    odd = web.Application()
    odd.router.add_get("/agent/v1/link", welcome)
    async with TestServer(odd) as server, fleet.dialling(str(server.make_url("")).rstrip("/")) as link:
        with pytest.raises(ProtocolUnknown, match="the broker answered in protocol 7, the agent speaks 1 to 1"):
            await link.register(PROFILE, MachineDescription(), slots=1, models=())
