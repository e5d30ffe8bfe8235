"""Engines for the connectors' tests: llama.cpp's real server, and a server that answers whatever a test tells it to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from northstar.connectors.contract import ConnectorJob, Json
from northstar.demo.text_engine import TextEngine, text_engine
from northstar.demo.tiny_model import write_tiny_model

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[[Handler], AbstractAsyncContextManager[str]]
MakeJob = Callable[..., ConnectorJob]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "storyteller.gguf")


@pytest.fixture
async def engine(tiny_model: Path) -> AsyncIterator[TextEngine]:
    async with text_engine(tiny_model, slots=2, context_tokens=65_536) as engine:
        yield engine


@pytest.fixture
def make_job(tmp_path: Path) -> MakeJob:
    made = 0

    def make(payload: dict[str, Json], *, deadline_s: float | None = None) -> ConnectorJob:
        nonlocal made
        made += 1
        workspace = tmp_path / f"workspace-{made}"
        workspace.mkdir()
        return ConnectorJob(
            id=f"job-{made}", service="any", payload=payload, workspace=workspace, deadline_s=deadline_s
        )

    return make


@pytest.fixture
def serve() -> Serve:
    """A real HTTP server on a free port of the loopback that gives every request to one handler."""

    @asynccontextmanager
    async def serving(handler: Handler) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield site.name if ":0" not in site.name else f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    return serving
