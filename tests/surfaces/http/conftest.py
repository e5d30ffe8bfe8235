"""One server and one `serve` for the tests of the HTTP interface; each test takes a tenant of its own, or opens a `serve` for itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests import servers
from tests.servers import RunningServer
from tests.surfaces.http.site import Site
from tests.surfaces.http.site import site as opened


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def http_server() -> AsyncIterator[RunningServer]:
    async with servers.embedded_valkey() as server:
        yield server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def site(http_server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with opened(http_server, tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def own_site(http_server: RunningServer, tmp_path: Path) -> AsyncIterator[Site]:
    async with opened(http_server, tmp_path) as running:
        yield running
