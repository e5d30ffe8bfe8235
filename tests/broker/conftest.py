"""One server for the broker's tests; each has a cell of its own on it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests import servers
from tests.agent.rig import Rig
from tests.servers import RunningServer


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def broker_server() -> AsyncIterator[RunningServer]:
    async with servers.embedded_valkey() as server:
        yield server


@pytest_asyncio.fixture
async def rig(broker_server: RunningServer) -> AsyncIterator[Rig]:
    async with Rig(broker_server.url) as opened:
        yield opened
