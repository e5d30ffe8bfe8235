"""A real receiver of webhooks, which is good, or bad in any of the ways in which receivers are."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec

Answer = Callable[["Heard", asyncio.StreamWriter], Awaitable[None]]


class Heard(msgspec.Struct, frozen=True):
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def message(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def kind(self) -> str:
        return str(self.message["type"])

    @property
    def job(self) -> str:
        return str(self.message["data"]["job"]["id"])

    def is_signed_by(self, secret: str) -> bool:
        """As a receiver verifies it, written down here once more."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        content = f"{self.id}.{self.headers['webhook-timestamp']}.".encode() + self.body
        wanted = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
        return f"v1,{wanted}" in self.headers["webhook-signature"].split(" ")


def saying(status: int, *, headers: str = "", body: bytes = b"") -> Answer:
    """Answers so."""

    async def answer(_: Heard, out: asyncio.StreamWriter) -> None:
        out.write(f"HTTP/1.1 {status} So\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    return answer


def sending(data: bytes) -> Answer:
    """Answers with these bytes, whatever they are."""

    async def answer(_: Heard, out: asyncio.StreamWriter) -> None:
        out.write(data)

    return answer


async def hanging(_: Heard, out: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def dripping(_: Heard, out: asyncio.StreamWriter) -> None:
    """A header that never ends, letter by letter."""
    out.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while True:
        out.write(b"x")
        await out.drain()
        await asyncio.sleep(0.01)


async def endless(_: Heard, out: asyncio.StreamWriter) -> None:
    """Taken, and then a body without an end."""
    out.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        out.write(b"thank you " * 1_000)
        await out.drain()


class Receiver:
    """Answers with `answer`, and remembers whatever it has heard."""

    def __init__(self) -> None:
        self.answer: Answer = saying(200)
        self.heard: list[Heard] = []
        self.at_once = 0
        self.most_at_once = 0
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hooks"

    def kinds(self, job: str | None = None) -> list[str]:
        return [one.kind for one in self.heard if job is None or one.job == job]

    async def _serve(self, read: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                head = (await read.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                pairs = [line.split(": ", 1) for line in head[1:] if line]
                headers = {name.lower(): value for name, value in pairs}
                body = await read.readexactly(int(headers["content-length"]))
                heard = Heard(head[0].split(" ")[1], headers, body)
                self.heard.append(heard)
                await self.answer(heard, out)
                await out.drain()
        finally:
            self.at_once -= 1
            out.close()


@contextlib.asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    one = Receiver()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(read: asyncio.StreamReader, out: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(asyncio.CancelledError):
            await one._serve(read, out)
        tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
