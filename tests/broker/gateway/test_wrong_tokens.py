"""Who shows wrong tokens again and again must wait, and locks out nobody who is in."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest

from northstar.agent.link_errors import BrokerRefused
from northstar.broker.gateway import doorkeeper
from northstar.broker.gateway.doorkeeper import Doorkeeper, TooManyWrongTokens
from northstar.domain.admission import Admitted, Grant
from northstar.domain.errors import Unavailable
from northstar.domain.machines import MachineDescription
from northstar.domain.refusals import TokenUnknown
from northstar.policy.admission.wrong_tokens import WrongTokenRule
from northstar.surfaces.http.agents import LINK_PATH
from tests.agent.rig import PROFILE
from tests.broker.gateway.rig import Fleet

RULE = WrongTokenRule(burst=2, every_s=10.0, longest_s=60.0)


class Judge:
    """Admits one token, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.now_s = 0.0
        self.down = False

    async def authenticate(self, token_text: str) -> Admitted:
        self.asked += 1
        if self.down:
            raise Unavailable("the server is away")
        if token_text != "good":
            raise TokenUnknown
        return Admitted(token_id="t", machine="m", status="approved", grant=Grant(pools=("standard",)))

    def doorkeeper(self) -> Doorkeeper:
        return Doorkeeper(self, rule=RULE, monotonic=lambda: self.now_s)


async def wrong(door: Doorkeeper, times: int, *, address: str = "203.0.113.7") -> None:
    for _ in range(times):
        with pytest.raises(TokenUnknown):
            await door.authenticate("bad", address=address)


async def test_after_some_wrong_ones_nobody_is_asked_until_the_pause_is_over() -> None:
    judge = Judge()
    door = judge.doorkeeper()
    await wrong(door, 2)
    for _ in range(5):
        with pytest.raises(TooManyWrongTokens, match=r"come back in 10 s with the right one") as caught:
            await door.authenticate("bad", address="203.0.113.7")
    assert (caught.value.retryable, judge.asked) == (True, 2)
    judge.now_s = 10.0
    await wrong(door, 1)
    await wrong(door, 2, address="203.0.113.8")


async def test_a_token_that_was_good_is_let_through_whoever_guesses_behind_the_same_address() -> None:
    judge = Judge()
    door = judge.doorkeeper()
    await door.authenticate("good", address="203.0.113.7")
    await wrong(door, 2)
    assert (await door.authenticate("good", address="203.0.113.7")).machine == "m"
    with pytest.raises(TooManyWrongTokens):
        await door.authenticate("bad", address="203.0.113.7")


async def test_a_server_that_is_away_is_nobodys_fault() -> None:
    judge = Judge()
    door = judge.doorkeeper()
    judge.down = True
    for _ in range(5):
        with pytest.raises(Unavailable):
            await door.authenticate("bad", address="203.0.113.7")
    assert len(door) == 0


async def test_what_is_remembered_is_bounded_and_the_longest_unused_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorkeeper, "MAX_ADDRESSES", 3)
    door = Judge().doorkeeper()
    for number in range(10):
        await wrong(door, 1, address=f"203.0.113.{number}")
    await wrong(door, 1, address="203.0.113.7")
    assert len(door) == 3
    with pytest.raises(TooManyWrongTokens):
        await door.authenticate("bad", address="203.0.113.7")


async def join(url: str, **headers: str) -> tuple[int, str, dict[str, Any]]:
    body = msgspec.json.encode({"invite": "nsi_wrong", "token": "nsm_wrong", "machine": "m"})
    headers |= {"Content-Type": "application/json"}
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{url}/agent/v1/join", data=body, headers=headers) as response,
    ):
        problem = msgspec.json.decode(await response.read())
        return response.status, response.headers.get("Retry-After", ""), problem


async def goodbye(url: str) -> bytes:
    headers = {"Authorization": "Bearer nsm_wrong"}
    async with aiohttp.ClientSession() as http, http.ws_connect(f"{url}{LINK_PATH}", headers=headers) as socket:
        return await socket.receive_bytes(timeout=10)


async def test_by_http_it_is_429_with_the_time_to_come_back_and_by_websocket_a_goodbye_that_says_so(
    fleet: Fleet,
) -> None:
    async with fleet.front(wrong_tokens=2, wrong_token_every_s=30.0) as front:
        async with fleet.dialling(front.url) as link:
            await link.register(PROFILE, MachineDescription(), slots=1, models=())
        statuses = [(await join(front.url))[0] for _ in range(2)]
        assert statuses == [422, 422]
        status, retry_after, problem = await join(front.url)
        assert (status, problem["title"]) == (429, "NS_TOO_MANY_WRONG_TOKENS")
        assert 25 <= int(retry_after) <= 30
        assert b"NS_TOO_MANY_WRONG_TOKENS" in await goodbye(front.url)
        # The machine that was in before is in again, from the same address.
        async with fleet.dialling(front.url) as link:
            await link.register(PROFILE, MachineDescription(), slots=1, models=())


async def test_a_header_counts_only_from_a_proxy_that_is_trusted(fleet: Fleet) -> None:
    async with fleet.front(wrong_tokens=1, wrong_token_every_s=30.0) as front:
        found = [(await join(front.url, **{"X-Forwarded-For": f"203.0.113.{number}"}))[0] for number in range(3)]
        assert found == [422, 429, 429]
    async with fleet.front(wrong_tokens=1, wrong_token_every_s=30.0, trusted_proxies=("127.0.0.1",)) as front:
        found = [(await join(front.url, **{"X-Forwarded-For": f"203.0.113.{number}"}))[0] for number in (1, 2, 1)]
        assert found == [422, 422, 429]


async def test_a_stranger_cannot_fill_the_brokers_memory_with_one_request(fleet: Fleet) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b'{"invite": "'
        while sent < 64 * 1024**2:
            sent += 65_536
            yield b"a" * 65_536

    async with fleet.front() as front, aiohttp.ClientSession() as http:
        headers = {"Content-Type": "application/json"}
        with contextlib.suppress(aiohttp.ClientError):  # it may hang up while the rest is still on its way
            async with http.post(f"{front.url}/agent/v1/join", data=endless(), headers=headers) as response:
                assert response.status == 413
        assert sent < 32 * 1024**2


async def test_a_wrong_token_is_still_called_wrong(fleet: Fleet) -> None:
    async with fleet.front() as front, fleet.dialling(front.url, token="nsm_wrong") as link:
        with pytest.raises(BrokerRefused, match="NS_TOKEN_MALFORMED"):
            await link.register(PROFILE, MachineDescription(), slots=1, models=())
