"""A server of this folder's own: its tests kill what is connected to it, and the server too."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests import servers
from tests.servers import RunningServer


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kill_server() -> AsyncIterator[RunningServer]:
    async with servers.embedded_valkey() as server:
        yield server
