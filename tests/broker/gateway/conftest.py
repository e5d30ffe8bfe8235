"""One server for the gateway's tests; each has a cell of its own on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests import servers
from tests.broker.gateway.rig import Fleet
from tests.servers import RunningServer


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def gateway_server() -> AsyncIterator[RunningServer]:
    async with servers.embedded_valkey() as server:
        yield server


@pytest_asyncio.fixture
async def fleet(gateway_server: RunningServer, tmp_path: Path) -> AsyncIterator[Fleet]:
    async with Fleet(gateway_server.url, tmp_path) as opened:
        yield opened
