"""`/v1/live`: many subscriptions over one WebSocket, for whoever shows a key in time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
import pytest_asyncio

from northstar.broker.job_past import JobPast
from northstar.broker.live import live_over
from northstar.domain.api_keys import Scope
from northstar.domain.progress import Progress
from northstar.surfaces.http.v1 import live_greeting
from northstar.surfaces.http.v1.live_greeting import Strangers
from northstar.surfaces.http.v1.live_talk import talk
from tests.servers import RunningServer, eventually
from tests.surfaces.http.site import Client, Site
from tests.surfaces.http.site import site as opened
from tests.surfaces.http.work import SOON_S, Machine, machine

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Line:
    """One client's connection."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.heard: list[dict[str, Any]] = []

    async def say(self, **message: Any) -> None:
        await self.socket.send_str(msgspec.json.encode(message).decode())

    async def next(self) -> dict[str, Any] | None:
        """The next message; None once it is closed."""
        message = await self.socket.receive(timeout=SOON_S)
        if message.type is not aiohttp.WSMsgType.TEXT:
            return None
        found: dict[str, Any] = msgspec.json.decode(message.data)
        self.heard.append(found)
        return found

    async def until(self, is_so: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        while (found := await self.next()) is not None:
            if is_so(found):
                return found
        raise AssertionError(f"closed ({self.socket.close_code}) without it: {self.heard}")

    async def typed(self, kind: str) -> dict[str, Any]:
        return await self.until(lambda one: one["type"] == kind)

    async def change(self, kind: str, *, subscription: str) -> dict[str, Any]:
        def is_it(one: dict[str, Any]) -> Any:
            return (one["type"], one.get("subscription")) == ("change", subscription) and one["event"]["kind"] == kind

        return await self.until(is_it)


@contextlib.asynccontextmanager
async def line(client: Client, *, header: bool = True) -> AsyncIterator[Line]:
    headers = {"Authorization": f"Bearer {client.key}"} if header else {}
    async with client.http.ws_connect(client.url + "/v1/live", headers=headers, autoping=True) as socket:
        yield Line(socket)


@pytest_asyncio.fixture(loop_scope="session")
async def client(site: Site) -> Client:
    return await site.client(Scope.SUBMIT, Scope.READ, tenant=site.new_tenant())


async def test_subscriptions_are_told_apart_and_end_when_they_are_not_wanted_any_more(client: Client) -> None:
    async with line(client) as ours:
        assert (await ours.typed("welcome"))["alive_every_s"] == 1.0
        await ours.say(type="subscribe", id="all")
        await ours.say(type="subscribe", id="ends", filter={"kinds": ["job.canceled"]})
        for _ in range(2):
            await ours.typed("subscribed")
        job = await client.submit()
        await client.post(f"/v1/jobs/{job}/cancel")
        await ours.change("job.canceled", subscription="ends")
        changes = [one for one in ours.heard if one["type"] == "change"]
        assert [one["event"]["kind"] for one in changes if one["subscription"] == "ends"] == ["job.canceled"]
        await ours.say(type="unsubscribe", id="all")
        await ours.until(lambda one: one["type"] == "ended" and one["subscription"] == "all")
        other = await client.submit()
        await client.post(f"/v1/jobs/{other}/cancel")
        before = len(ours.heard)
        await ours.change("job.canceled", subscription="ends")
        assert {one["subscription"] for one in ours.heard[before:] if one["type"] == "change"} == {"ends"}


async def test_a_subscription_goes_on_after_an_id(client: Client) -> None:
    jobs = [await client.submit() for _ in range(3)]
    events = (await client.get("/v1/events?limit=1000")).body["events"]
    async with line(client) as ours:
        await ours.say(type="subscribe", id="a", after=events[0]["id"])
        await ours.until(lambda one: one["type"] == "change" and one["event"]["subject"] == jobs[-1])
    assert [one["event"]["subject"] for one in ours.heard if one["type"] == "change"] == jobs[1:]


async def test_a_job_is_followed_with_its_progress_to_its_end(http_server: RunningServer, tmp_path: Path) -> None:
    async with opened(http_server, tmp_path) as site, machine(site, tmp_path) as worker:
        client = await site.client(Scope.SUBMIT, Scope.READ)
        await followed(client, worker)


async def followed(client: Client, worker: Machine) -> None:
    job_id = await client.submit()
    (job,) = await worker.take(job_id)
    async with line(client) as ours:
        await ours.say(type="subscribe", id="one", job=job_id)
        await ours.change("job.started", subscription="one")

        async def is_heard() -> bool:
            return await worker.say(job, Progress(phase="running", fraction=0.5)) > 0

        await eventually(is_heard, what="somebody listens to the progress")
        assert (await ours.typed("progress"))["progress"] == {"phase": "running", "fraction": 0.5}
        await worker.say(job, Progress(phase="running", tokens="hello"))
        assert (await ours.typed("text"))["text"] == "hello"
        await worker.finish(job)
        await ours.change("job.succeeded", subscription="one")
        assert (await ours.typed("ended"))["code"] == ""
        await ours.say(type="subscribe", id="one", job=job_id)  # the name is free again
        await ours.typed("ended")


async def test_the_key_may_come_as_the_first_message(client: Client) -> None:
    async with line(client, header=False) as ours:
        await ours.say(type="hello", key=client.key)
        await ours.typed("welcome")


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ({"type": "hello", "key": "nonsense"}, "NS_KEY_UNREADABLE"),
        ({"type": "subscribe", "id": "a"}, "NS_KEY_MISSING"),
        ({"type": "hello"}, "NS_FRAME_INVALID"),
        ({"type": "dance"}, "NS_FRAME_INVALID"),
        ("[[[", "NS_FRAME_INVALID"),
    ],
)
async def test_a_stranger_is_told_why_and_shown_out(site: Site, first: Any, code: str) -> None:
    async with line(site.stranger(), header=False) as ours:
        await ours.say(**first) if isinstance(first, dict) else await ours.socket.send_str(first)
        assert (await ours.typed("closed"))["code"] == code
        assert await ours.next() is None
        assert ours.socket.close_code == 1008


async def test_a_stranger_who_says_nothing_is_shown_out_in_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_greeting, "HELLO_WITHIN_S", 0.1)
    async with line(site.stranger(), header=False) as ours:
        assert (await ours.typed("closed"))["code"] == "NS_KEY_MISSING"


async def test_a_key_that_does_not_read_does_not_listen(site: Site) -> None:
    async with line(await site.client(Scope.SUBMIT)) as ours:
        assert (await ours.typed("closed"))["code"] == "NS_SCOPE_MISSING"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"job": "never"}, "NS_NO_SUCH_JOB"),
        ({"after": "nonsense"}, "NS_EVENT_ID_INVALID"),
        ({"after": "1-99999999"}, "NS_EVENT_ID_UNKNOWN"),
        ({"filter": {"tenant": "somebody-else"}}, "NS_TENANT_FOREIGN"),
    ],
)
async def test_a_subscription_that_cannot_be_ends_with_why_and_the_others_go_on(
    client: Client, message: dict[str, Any], code: str
) -> None:
    async with line(client) as ours:
        await ours.say(type="subscribe", id="good")
        await ours.typed("subscribed")
        await ours.say(type="subscribe", id="bad", **message)
        ended = await ours.typed("ended")
        assert (ended["subscription"], ended["code"]) == ("bad", code)
        await client.submit()
        await ours.change("job.submitted", subscription="good")


async def test_names_are_used_once_and_subscriptions_are_few(client: Client) -> None:
    async with line(client) as ours:
        for number in range(16):
            await ours.say(type="subscribe", id=f"s{number}")
        await ours.say(type="subscribe", id="s3")
        assert (await ours.typed("ended"))["code"] == "NS_SUBSCRIPTION_EXISTS"
        await ours.say(type="subscribe", id="s16")
        assert (await ours.typed("ended"))["code"] == "NS_TOO_MANY_SUBSCRIPTIONS"


@pytest.mark.parametrize("message", [b"bytes", "x" * 20_000, '{"type":"subscribe","id":"a","colour":"red"}'])
async def test_what_is_no_message_ends_the_connection(client: Client, message: Any) -> None:
    async with line(client) as ours:
        await ours.typed("welcome")
        await ours.socket.send_bytes(message) if isinstance(message, bytes) else await ours.socket.send_str(message)
        assert (await ours.typed("closed"))["code"] == "NS_FRAME_INVALID"


async def test_a_key_that_is_revoked_is_shown_out(own_site: Site) -> None:
    client = await own_site.client(Scope.READ)
    async with line(client) as ours:
        await ours.say(type="subscribe", id="all")
        await ours.typed("subscribed")
        (view,) = await own_site.keys.views()
        await own_site.keys.revoke(view.id, by="test")
        assert (await ours.typed("closed"))["code"] == "NS_KEY_UNKNOWN"


async def test_a_client_that_does_not_read_is_cut_off_and_the_others_hear_all(
    own_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await own_site.client(Scope.SUBMIT, Scope.READ)
    monkeypatch.setattr("northstar.surfaces.http.v1.live_talk._TAKE_WITHIN_S", 1.0)
    host, port = own_site.url.removeprefix("http://").split(":")
    _, deaf = await asyncio.open_connection(host, int(port), limit=1)
    deaf.write(
        f"GET /v1/live HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nAuthorization: Bearer {client.key}\r\n\r\n".encode()
    )
    subscribe = b'{"type":"subscribe","id":"a","after":"0-0"}'
    deaf.write(bytes([0x81, 0x80 | len(subscribe), 0, 0, 0, 0]) + subscribe)  # a text frame, masked with nothing
    for _ in range(12):
        batch = [{"service": "waits"} for _ in range(500)]
        assert (await client.post("/v1/jobs/batch", batch)).status == 202
    async with line(client) as ours:
        await ours.say(type="subscribe", id="a", after="0-0")
        for _ in range(6_000):
            await ours.change("job.submitted", subscription="a")

    async def is_cut_off() -> bool:
        deaf.write(bytes([0x89, 0x80, 0, 0, 0, 0]))  # a ping, which whoever is still there takes
        try:
            await deaf.drain()
        except ConnectionError:
            return True
        return deaf.is_closing()

    await eventually(is_cut_off, what="the client that does not read is cut off")
    deaf.close()


class _TakesOneAtATime:
    """A client that subscribes to everything, and takes nothing more once it is told to stop."""

    def __init__(self) -> None:
        self._said = [b'{"type": "subscribe", "id": "all", "filter": {}}']
        self.takes = asyncio.Event()
        self.takes.set()
        self.told: list[bytes] = []

    async def receive(self) -> str:
        if self._said:
            return self._said.pop(0).decode()
        await asyncio.Event().wait()
        raise AssertionError

    async def send(self, text: bytes) -> None:
        await self.takes.wait()
        self.told.append(text)


async def test_a_key_that_is_revoked_ends_the_connection_of_a_client_that_takes_nothing(own_site: Site) -> None:
    reader, submitter = await own_site.client(Scope.READ), await own_site.client(Scope.SUBMIT)
    past = JobPast(own_site.cell, None)
    live = live_over(own_site.cell, own_site.serve.history, keys=own_site.keys, past=past)
    live = msgspec.structs.replace(live, every_s=0.1)
    client = _TakesOneAtATime()
    talking = asyncio.create_task(
        talk(client, live, header=reader.key, let_in=own_site.keys.authenticate, strangers=Strangers())
    )

    async def has_subscribed() -> bool:
        return any(b'"subscribed"' in text for text in client.told)

    await eventually(has_subscribed, what="it listens")
    client.takes.clear()
    await submitter.post("/v1/jobs/batch", [{"service": "waits"}] * 200)  # more than wait for one client
    await asyncio.wait({talking}, timeout=0.5)
    await own_site.keys.revoke(reader.key.split("_")[1], by="test")
    async with asyncio.timeout(10.0):  # a client has half a minute for each message
        ended = await talking
    assert ended is not None
    assert ended.code == "NS_KEY_UNKNOWN"
    await live.close()
