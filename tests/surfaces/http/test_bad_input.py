"""Input that is made to hurt: heads without an end, bodies drop by drop, sockets that ask nothing. Each is over in a bounded time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from structlog.testing import capture_logs
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from northstar.domain.api_keys import Scope
from northstar.surfaces.http import connections
from tests.servers import RunningServer
from tests.surfaces.http.site import Client, Site
from tests.surfaces.http.site import site as opened

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: Longer than any bound of these sites; what takes this long has none.
FAR_TOO_LONG_S = 30.0
SHORT = {"serve.head_within_s": 0.4, "serve.body_within_s": 0.4}


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=[H11Protocol, HttpToolsProtocol])
async def hasty(
    http_server: RunningServer, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> AsyncIterator[Site]:
    """One that waits for nobody, with each of the parsers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connections, "parser", lambda: request.param)
        async with opened(http_server, tmp_path_factory.mktemp("hasty"), settings=SHORT) as running:
            yield running


@pytest_asyncio.fixture(loop_scope="session")
async def client(hasty: Site) -> Client:
    return await hasty.client(Scope.SUBMIT, Scope.READ, tenant=hasty.new_tenant())


class Raw:
    """A socket on which one says what one likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def say(self, *words: str | bytes) -> None:
        self.writer.write(b"".join(word.encode() if isinstance(word, str) else word for word in words))
        with contextlib.suppress(ConnectionError):
            await self.writer.drain()

    async def rest(self) -> bytes:
        """All that comes until the other end has closed."""
        heard = b""
        async with asyncio.timeout(FAR_TOO_LONG_S):
            with contextlib.suppress(ConnectionError):
                while piece := await self.reader.read(65_536):
                    heard += piece
        return heard

    async def drip(self, drop: bytes) -> bytes:
        """Say it again and again, a little apart, until the other end has closed; gives what it said."""
        heard = b""
        async with asyncio.timeout(FAR_TOO_LONG_S):
            while True:
                await self.say(drop)
                try:
                    async with asyncio.timeout(0.02):
                        piece = await self.reader.read(65_536)
                except TimeoutError:
                    continue
                except ConnectionError:
                    return heard
                heard += piece
                if not piece:
                    return heard


@contextlib.asynccontextmanager
async def raw(site: Site) -> AsyncIterator[Raw]:
    host, port = site.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield Raw(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def head(client: Client, *lines: str, path: str = "/v1/jobs") -> str:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {client.key}", *lines, "", ""])


async def test_a_socket_that_asks_nothing_is_closed(hasty: Site) -> None:
    async with raw(hasty) as socket:
        assert await socket.rest() == b""


async def test_a_head_that_comes_drop_by_drop_is_no_head(hasty: Site) -> None:
    async with raw(hasty) as socket:
        await socket.say("GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        assert await socket.drip(b"x") == b""


async def test_what_drips_after_an_answer_does_not_keep_the_connection(hasty: Site) -> None:
    async with raw(hasty) as socket:
        await socket.say("GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        heard = await socket.drip(b"\r\n")
        assert heard.startswith(b"HTTP/1.1 200")


async def test_a_connection_that_goes_on_asking_stays(hasty: Site, client: Client) -> None:
    """Its time begins anew with each answer."""
    asked, loop = 0, asyncio.get_running_loop()
    async with raw(hasty) as socket:
        until = loop.time() + 3 * SHORT["serve.head_within_s"]
        while loop.time() < until:
            await socket.say("GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await socket.reader.readuntil(b'{"status":"ok"}')).startswith(b"HTTP/1.1 200")
            asked += 1
    assert asked > 1


@pytest.mark.parametrize("lines", [("Content-Length: 100",), ("Transfer-Encoding: chunked",)], ids=" ".join)
async def test_a_body_that_never_ends_is_told_that_it_is_too_slow(
    hasty: Site, client: Client, lines: tuple[str, ...]
) -> None:
    async with raw(hasty) as socket:
        await socket.say(head(client, *lines))
        heard = await socket.rest()
    assert heard.startswith(b"HTTP/1.1 408")
    assert b"NS_BODY_TOO_SLOW" in heard


@pytest.mark.parametrize(
    ("lines", "drop"), [("Content-Length: 99999", b" "), ("Transfer-Encoding: chunked", b"1\r\n \r\n")]
)
async def test_a_body_that_comes_drop_by_drop_is_too_slow_all_the_same(
    hasty: Site, client: Client, lines: str, drop: bytes
) -> None:
    async with raw(hasty) as socket:
        await socket.say(head(client, lines))
        assert b"NS_BODY_TOO_SLOW" in await socket.drip(drop)


async def test_a_stranger_is_refused_before_anybody_waits_for_the_body(hasty: Site) -> None:
    async with raw(hasty) as socket:
        await socket.say("POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 99999\r\n\r\n")
        assert (await socket.drip(b" ")).startswith(b"HTTP/1.1 401")


async def test_an_invite_that_never_comes_is_too_slow(hasty: Site) -> None:
    """Strangers may ask there, so the bound is theirs too."""
    async with raw(hasty) as socket:
        await socket.say(
            "POST /agent/v1/join HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
        )
        assert b"NS_BODY_TOO_SLOW" in await socket.rest()


async def test_a_body_that_is_cut_off_is_no_fault(hasty: Site, client: Client) -> None:
    with capture_logs() as lines:
        async with raw(hasty) as socket:
            await socket.say(head(client, "Content-Length: 99"), b"{")
        assert (await hasty.stranger().get("/health")).status == 200
    assert [line for line in lines if line["log_level"] == "error"] == []


@pytest.mark.parametrize(
    "lines",
    [f"X-Big: {'x' * 200_000}", "\r\n".join(f"X-{n}: {'y' * 100}" for n in range(3_000))],
    ids=["long", "many"],
)
@pytest.mark.parametrize("target", ["/health", "/v1/jobs?cursor=" + "z" * 200_000], ids=["head", "address"])
async def test_a_huge_head_is_refused(hasty: Site, lines: str, target: str) -> None:
    async with raw(hasty) as socket:
        await socket.say(f"GET {target} HTTP/1.1\r\nHost: x\r\n{lines}\r\n\r\n")
        told = await socket.rest()  # or nothing, where the rest of it was still on its way when the socket was closed
        assert told[:12] in {b"HTTP/1.1 400", b"HTTP/1.1 431", b""}
    assert (await hasty.stranger().get("/health")).status == 200


async def test_a_head_that_is_a_little_too_large_is_told_so_by_name(hasty: Site) -> None:
    async with raw(hasty) as socket:
        await socket.say(f"GET /health HTTP/1.1\r\nHost: x\r\nX-Big: {'x' * connections.MAX_HEAD_BYTES}")
        told = await socket.rest()
    assert told.startswith(b"HTTP/1.1 431")
    assert b"NS_HEAD_TOO_LARGE" in told


async def test_a_large_head_that_is_allowed_is_read_and_so_is_the_body_behind_it(hasty: Site, client: Client) -> None:
    body = b'{"service": "waits"}' + b" " * 200_000
    async with raw(hasty) as socket:
        big = f"X-Big: {'x' * (connections.MAX_HEAD_BYTES - 1_000)}"
        await socket.say(head(client, big, f"Content-Length: {len(body)}", "Connection: close"), body)
        assert (await socket.rest()).startswith(b"HTTP/1.1 202")


@pytest.mark.parametrize(
    "said",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /health HTTP/9.9\r\n\r\n",
        b"GET /health HTTP/1.1\r\n\r\n",
        b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nxxxxxx",
        b"GET http://elsewhere/v1/jobs HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe\xfd\r\n\r\n",
        b"GET /v1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe\xfd\r\n\r\n",
        b"GET /v1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer nsk_\xc3\xa4\r\n\r\n",
        b"GET /v1/jobs?%ff=%00 HTTP/1.1\r\nHost: x\r\nCookie: \xff=\x80; a=b\r\n\r\n",
    ],
)
async def test_what_is_no_request_is_answered_or_cut_off_and_no_fault(hasty: Site, said: bytes) -> None:
    with capture_logs() as lines:
        async with raw(hasty) as socket:
            await socket.say(said)
            heard = await socket.rest()
    assert heard[:9] in {b"", b"HTTP/1.1 "}
    assert heard[9:10] != b"5"
    assert [line for line in lines if line["log_level"] == "error"] == []


async def test_what_is_no_http_is_told_so_by_name(hasty: Site) -> None:
    async with raw(hasty) as socket:
        await socket.say(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")
        told = await socket.rest()
    assert told.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"NS_REQUEST_UNREADABLE" in told


async def test_a_made_up_method_is_refused(hasty: Site) -> None:
    """One of the parsers knows all methods that there are, the other reads any."""
    answer = await hasty.stranger().ask("BREW", "/v1/jobs")
    assert (answer.status, answer.code) in {(400, "NS_REQUEST_UNREADABLE"), (405, "NS_METHOD_NOT_ALLOWED")}


async def test_hundreds_of_idle_sockets_keep_out_nobody_who_asks(http_server: RunningServer, tmp_path: Path) -> None:
    settings = {"serve.max_clients": 20, "serve.head_within_s": 3_600.0}
    async with contextlib.AsyncExitStack() as stack, opened(http_server, tmp_path, settings=settings) as site:
        idle = [await stack.enter_async_context(raw(site)) for _ in range(200)]
        assert (await site.stranger().get("/health")).status == 200
        for socket in idle[:180]:  # those that have waited the longest
            assert await socket.rest() == b""
        assert not any(socket.reader.at_eof() for socket in idle[-15:])


async def test_where_all_are_at_work_a_newcomer_is_told_to_come_back(
    http_server: RunningServer, tmp_path: Path
) -> None:
    settings = {"serve.max_clients": 2, "serve.body_within_s": 3_600.0}
    async with opened(http_server, tmp_path, settings=settings) as site:
        client = await site.client(Scope.SUBMIT)
        async with raw(site) as first, raw(site) as second:
            for socket in (first, second):
                await socket.say(head(client, "Content-Length: 23", "Expect: 100-continue"))
                assert (await socket.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
            with capture_logs() as lines:
                for _ in range(3):
                    async with raw(site) as newcomer:
                        told = await newcomer.rest()
                        assert told.startswith(b"HTTP/1.1 503")
                        assert b"Retry-After: 1\r\n" in told
                        assert b"NS_TOO_MANY_CLIENTS" in told
            assert [line["event"] for line in lines] == ["too_many_clients"]
            await first.say('{"service": "waits"}   ')
            assert b" 202 " in await first.reader.readuntil(b"\r\n")
        assert (await site.stranger().get("/health")).status == 200


@pytest.mark.long
async def test_machines_that_are_in_are_no_clients(http_server: RunningServer, tmp_path: Path) -> None:
    """A WebSocket has bounds of its own."""
    settings = {"serve.max_clients": 1, "serve.head_within_s": 0.4}
    async with opened(http_server, tmp_path, settings=settings) as site, raw(site) as socket:
        await socket.say(
            "GET /agent/v1/link HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        )
        assert (await socket.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        assert (await site.stranger().get("/health")).status == 200
        assert b"NS_TOKEN" in await socket.rest()
