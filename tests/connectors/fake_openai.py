"""An OpenAI-compatible engine for embeddings and pictures that behaves, and misbehaves when a payload tells it to."""

from __future__ import annotations

import asyncio
import base64
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from northstar.demo.png import png

MODEL = "north-star-test"


class FakeOpenAI:
    def __init__(self) -> None:
        self.url = ""
        self.working = 0
        self.healthy = True
        self.models: list[dict[str, Any]] = [{"id": MODEL, "object": "model", "owned_by": "vllm"}]
        self.seen: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/health", self._health)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/version", self._version)
        app.router.add_get("/files/{name}", self._file)
        app.router.add_post("/v1/embeddings", self._embeddings)
        app.router.add_post("/v1/images/generations", self._images)
        self._runner = web.AppRunner(app, shutdown_timeout=0.05, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def die(self) -> None:
        """Cut every connection and listen no more."""
        runner, self._runner = self._runner, None
        if runner is not None:
            if runner.server is not None:
                for connection in runner.server.connections:
                    if connection.transport is not None:
                        connection.transport.abort()
            await runner.cleanup()

    async def _health(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(status=200 if self.healthy else 503)  # vLLM's has no body

    async def _models(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response({"object": "list", "data": self.models})

    async def _version(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response({"version": "0.11.2"})

    async def _file(self, request: web.Request) -> web.StreamResponse:
        self.keys.append(request.headers.get("Authorization"))
        return web.Response(body=picture(1) if request.match_info["name"] == "one.png" else b"not a picture")

    async def _embeddings(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request)
        inputs = [body["input"]] if isinstance(body["input"], str) else body["input"]
        async with self._at_work(body, endless="endless" in inputs):
            length = 5_000 if "galaxy" in inputs else 3
            data = [{"object": "embedding", "index": n, "embedding": [0.5] * length} for n in range(len(inputs))]
            usage = {"prompt_tokens": 4 * len(inputs), "total_tokens": 4 * len(inputs)}
            if "nonsense" in inputs:
                data[0]["index"] = 7
            # In no order: the index counts.
            return web.json_response({"object": "list", "model": MODEL, "data": data[::-1], "usage": usage})

    async def _images(self, request: web.Request) -> web.StreamResponse:
        body = await self._body(request)
        prompt = body["prompt"]
        async with self._at_work(body, endless=prompt == "endless"):
            if prompt.startswith(("http", "/")):
                return web.json_response({"created": 1, "data": [{"url": prompt}]})
            data = b"<html>" if prompt == "nonsense" else picture(400 if prompt == "the galaxy" else 1)
            one = {"b64_json": base64.b64encode(data).decode()}
            return web.json_response({"created": 1, "data": [one] * body.get("n", 1)})

    async def _body(self, request: web.Request) -> dict[str, Any]:
        body: dict[str, Any] = await request.json()
        self.seen.append(body)
        return body

    @asynccontextmanager
    async def _at_work(self, body: dict[str, Any], *, endless: bool) -> AsyncIterator[None]:
        self.working += 1
        try:
            if endless:
                await asyncio.Event().wait()
            yield
        finally:
            self.working -= 1


def picture(side: int) -> bytes:
    """A PNG that does not compress: `side` times `side` pixels."""
    rng = random.Random(side)
    return png((rng.randbytes(3 * side) for _ in range(side)), width=side, height=side)


@asynccontextmanager
async def fake_openai() -> AsyncIterator[FakeOpenAI]:
    engine = FakeOpenAI()
    await engine.start()
    try:
        yield engine
    finally:
        await engine.die()
