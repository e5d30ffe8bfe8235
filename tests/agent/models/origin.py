"""A real HTTP server that serves one file, well or in any of the ways in which servers are bad."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from northstar.agent.models.flights import FetchProgress

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Origin:
    """Serves `data` at every path; `answer` replaces what it does, `asked` is every request so far."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.etag = '"v1"'
        self.does_ranges = True
        #: Break the connection once the client has so many bytes of the file; consumed by one request each.
        self.breaks: list[int] = []
        self.answer: Answer | None = None
        self.asked: list[web.Request] = []
        self.url = ""
        self.port = 0
        #: Set: bodies wait for it after their first half.
        self.gate: asyncio.Event | None = None
        self.half_sent = asyncio.Event()
        self._taken = [0]
        self._took = asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        if self.answer is not None:
            return await self.answer(request)
        return await self.serve(request)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        start = self._start(request)
        status, headers = 200, {"ETag": self.etag} if self.etag else {}
        if start:
            status = 206
            headers["Content-Range"] = f"bytes {start}-{len(self.data) - 1}/{len(self.data)}"
        body = self.data[start:]
        response = web.StreamResponse(status=status, headers=headers)
        response.content_length = len(body)
        await response.prepare(request)
        if self.breaks:
            end = self.breaks.pop(0)
            await response.write(body[: end - start])
            await self._until_taken(end)
            assert request.transport is not None
            request.transport.close()
            return response
        half = len(body) // 2
        await response.write(body[:half])
        self.half_sent.set()
        if self.gate is not None:
            await self.gate.wait()
        await response.write(body[half:])
        return response

    def note(self, progress: FetchProgress) -> None:
        """Told by the client how much it has, so that a connection breaks when it has everything that was sent."""
        self._taken.append(progress.received_bytes)
        self._took.set()

    async def _until_taken(self, size_bytes: int) -> None:
        while self._taken[-1] < size_bytes:
            await self._took.wait()
            self._took.clear()

    def _start(self, request: web.Request) -> int:
        wanted = request.headers.get("Range", "")
        if not (self.does_ranges and wanted.startswith("bytes=")):
            return 0
        if request.headers.get("If-Range", self.etag) != self.etag:
            return 0
        return int(wanted.removeprefix("bytes=").removesuffix("-"))

    @property
    def ranges(self) -> list[str | None]:
        return [request.headers.get("Range") for request in self.asked]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


@asynccontextmanager
async def origin(data: bytes, kind: type[Origin] = Origin) -> AsyncIterator[Origin]:
    """The server, on a free port of the loopback."""
    one = kind(data)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", one.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    one.port = runner.addresses[0][1]
    one.url = f"http://127.0.0.1:{one.port}"
    try:
        yield one
    finally:
        if one.gate is not None:
            one.gate.set()
        await runner.cleanup()
