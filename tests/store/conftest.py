"""One server of each kind for a worker's whole run. Tests keep apart by the names of their cells, never by flushing."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests import servers
from tests.servers import RunningServer


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def valkey_server() -> AsyncIterator[RunningServer]:
    """The Valkey that comes with North Star."""
    async with servers.embedded_valkey() as server:
        yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def redis7_server() -> AsyncIterator[RunningServer]:
    """Debian's Redis 7; fails in CI where it is absent, and skips elsewhere. Mark its tests `redis7`."""
    async with servers.redis7() as server:
        yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def cluster_server() -> AsyncIterator[RunningServer]:
    """Three primaries on loopback; `url` names them all."""
    async with servers.cluster() as server:
        yield server
