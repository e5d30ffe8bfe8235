"""What platforms ask a broker: does the process live, and can it serve now?"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from northstar.broker.gateway.pulse import FRESH_S, NotReady, Pulse
from northstar.store.messages import StatisticsReply
from tests import servers
from tests.broker.gateway.rig import Fleet

CHECK = Path(__file__).resolve().parents[3] / "containers" / "serve" / "check_health.py"


async def asked(url: str) -> tuple[int, dict[str, Any]]:
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        return response.status, msgspec.json.decode(await response.read())


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready"])
async def test_a_broker_whose_server_answers_lives_and_is_ready(fleet: Fleet, path: str) -> None:
    async with fleet.front() as front:
        assert (await asked(front.url + path))[0] == 200


async def test_a_broker_whose_server_is_gone_lives_but_is_not_ready(tmp_path: Path) -> None:
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


async def checked(port: str, *arguments: str, **environment: str) -> tuple[int | None, str]:
    """What the health check of the image says."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-I", str(CHECK), *arguments),
        env={"NORTHSTAR_SERVE_PORT": port} | environment,
        stderr=asyncio.subprocess.PIPE,
    )
    _, words = await process.communicate()
    return process.returncode, words.decode()


async def test_the_health_check_of_the_image_is_content_with_a_broker_that_lives(fleet: Fleet, tmp_path: Path) -> None:
    certificate, key = servers.make_certificate(tmp_path)
    async with fleet.front() as front:
        assert await checked(front.url.rpartition(":")[2]) == (0, "")
    async with fleet.front(tls_certificate=str(certificate), tls_key=str(key)) as front:
        port = front.url.rpartition(":")[2]
        assert await checked(port, NORTHSTAR_SERVE_TLS_CERTIFICATE=str(certificate)) == (0, "")


async def test_the_health_check_of_the_image_says_what_is_wrong(fleet: Fleet) -> None:
    async with fleet.front() as front:
        port = front.url.rpartition(":")[2]
        assert await checked(port, "/nowhere") == (1, f"/nowhere on port {port} answers with status 404\n")
    code, words = await checked(port)
    assert (code, words.partition(": ")[0]) == (1, f"port {port} does not answer")
