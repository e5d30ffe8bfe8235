"""An Ollama that behaves as its published API says, and misbehaves when a test tells it to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiohttp import web

CHAT_MODEL = "storyteller:latest"
EMBED_MODEL = "all-minilm:latest"


class FakeOllama:
    """Models on disk and in memory; one word a step, until asked for no more or hung up on."""

    def __init__(self) -> None:
        self.url = ""
        self.models = {CHAT_MODEL: ["completion"], EMBED_MODEL: ["embedding"]}
        self.remote: set[str] = set()
        self.resident: set[str] = set()
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.working = 0
        self.may_load = asyncio.Event()
        self.may_load.set()
        self.lies: dict[str, Callable[[], web.StreamResponse]] = {}
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/api/tags", self._tags)
        app.router.add_get("/api/ps", self._ps)
        app.router.add_get("/api/version", self._version)
        app.router.add_post("/api/show", self._show)
        for path in ("chat", "generate", "embed"):
            app.router.add_post(f"/api/{path}", self._work)
        self._runner = web.AppRunner(app, shutdown_timeout=0.05, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
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

    async def _tags(self, _request: web.Request) -> web.StreamResponse:
        return lie() if (lie := self.lies.get("tags")) else listed(self.models)

    async def _ps(self, _request: web.Request) -> web.StreamResponse:
        return listed(self.resident)

    async def _version(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response({"version": "0.12.6"})

    async def _show(self, request: web.Request) -> web.StreamResponse:
        name = tagged((await request.json())["model"])
        if name not in self.models:
            return missing(name)
        shown: dict[str, Any] = {"capabilities": self.models[name], "details": {"format": "gguf"}}
        return web.json_response(shown | ({"remote_host": "https://elsewhere.test"} if name in self.remote else {}))

    async def _work(self, request: web.Request) -> web.StreamResponse:
        kind, body = request.path.rpartition("/")[2], await request.json()
        self.seen.append((kind, body))
        name = tagged(body["model"])
        if name not in self.models:
            return missing(name)
        if lie := self.lies.get(kind):
            return lie()
        self.working += 1
        try:
            if name not in self.resident:
                await self.may_load.wait()
                self.resident.add(name)
            if kind == "embed":
                if "endless" in body["input"]:
                    await asyncio.Event().wait()
                return embedded(body)
            if kind == "generate" and not body.get("prompt"):
                return loaded_or_unloaded(body, self.resident)
            return await self._stream(request, kind, body)
        finally:
            self.working -= 1

    async def _stream(self, request: web.Request, kind: str, body: dict[str, Any]) -> web.StreamResponse:
        wanted = body.get("options", {}).get("num_predict", 20)
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        if "nonsense" in str(body):
            await response.write(b"<html>\n")
        for number in range(wanted):
            text = f"wave {number} " * (100 if "galaxy" in str(body) else 1)
            part = {"message": {"role": "assistant", "content": text}} if kind == "chat" else {"response": text}
            await response.write(line({"model": body["model"], "done": False} | part))
            await asyncio.sleep(0.005 if wanted > 100 else 0)
        end = {
            "done": True,
            "done_reason": "length",
            "prompt_eval_count": 7,
            "eval_count": wanted,
            "load_duration": 10**9,
        }
        last = {"message": {"role": "assistant", "content": ""}} if kind == "chat" else {"response": ""}
        await response.write(line({"model": body["model"]} | end | last))
        return response


@asynccontextmanager
async def fake_ollama() -> AsyncIterator[FakeOllama]:
    ollama = FakeOllama()
    await ollama.start()
    try:
        yield ollama
    finally:
        await ollama.die()


def line(value: dict[str, Any]) -> bytes:
    return msgspec.json.encode(value) + b"\n"


def listed(names: Any) -> web.Response:
    return web.json_response(
        {"models": [{"name": n, "model": n, "size": 5, "digest": "d", "size_vram": 4} for n in names]}
    )


def missing(name: str) -> web.Response:
    return web.json_response({"error": f"model '{name}' not found"}, status=404)


def tagged(name: str) -> str:
    return name if ":" in name else f"{name}:latest"


def loaded_or_unloaded(body: dict[str, Any], resident: set[str]) -> web.Response:
    reason = "load"
    if body.get("keep_alive") == 0:
        reason = "unload"
        resident.discard(tagged(body["model"]))
    return web.json_response({"model": body["model"], "response": "", "done": True, "done_reason": reason})


def embedded(body: dict[str, Any]) -> web.Response:
    inputs = [body["input"]] if isinstance(body["input"], str) else body["input"]
    if "nonsense" in inputs:
        inputs = inputs * 2
    vectors = [[0.1, 0.2, len(text) / 100] for text in inputs]
    return web.json_response({"model": body["model"], "embeddings": vectors, "prompt_eval_count": len(inputs)})
