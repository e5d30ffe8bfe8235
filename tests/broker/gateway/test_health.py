"""What platforms ask a broker: does the process live, and can it serve now?"""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import msgspec
import pytest

from northstar.broker.gateway.pulse import FRESH_S, NotReady, Pulse
from northstar.store.messages import StatisticsReply
from tests import servers
from tests.broker.gateway.rig import Fleet


async def asked(url: str) -> tuple[int, dict[str, Any]]:
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        return response.status, msgspec.json.decode(await response.read())


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready"])
async def test_a_broker_whose_server_answers_lives_and_is_ready(fleet: Fleet, path: str) -> None:
    async with fleet.front() as front:
        assert (await asked(front.url + path))[0] == 200


async def test_a_broker_whose_server_is_gone_lives_but_is_not_ready(tmp_path: Any) -> None:
    async with servers.embedded_valkey() as server, Fleet(server.url, tmp_path) as fleet, fleet.front() as front:
        await server.nodes[0].stop()
        status, problem = await asked(front.url + "/health/ready")
        assert (status, problem["title"]) == (503, "NS_NOT_READY")
        assert "(NS_VALKEY_GONE)" in problem["detail"]
        # Anybody may ask, so where the server is must not stand there.
        assert ".sock" not in problem["detail"]
        assert (await asked(front.url + "/health/live"))[0] == 200


class Server:
    """A cell whose server answers when the test says so."""

    def __init__(self) -> None:
        self.asked = 0
        self.answers = asyncio.Event()
        self.now_s = 0.0

    async def statistics(self) -> StatisticsReply:
        self.asked += 1
        await self.answers.wait()
        return StatisticsReply(counts={}, lanes=[], after="")

    def pulse(self) -> Pulse:
        return Pulse(self, monotonic=lambda: self.now_s, within_s=0.05)  # type: ignore[arg-type]


async def test_many_who_ask_cost_the_server_one_call_a_second() -> None:
    server = Server()
    server.answers.set()
    pulse = server.pulse()
    await asyncio.gather(*(pulse.check() for _ in range(50)))
    assert server.asked == 1
    server.now_s += FRESH_S
    await pulse.check()
    assert server.asked == 2


async def test_a_server_that_does_not_answer_in_time_is_not_waited_for_and_its_return_is_seen() -> None:
    server = Server()
    pulse = server.pulse()
    with pytest.raises(NotReady, match="NS_VALKEY_TIMEOUT"):
        await pulse.check()
    server.answers.set()
    server.now_s += FRESH_S
    await pulse.check()
