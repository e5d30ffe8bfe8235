"""One server for the agent's tests; each has a cell of its own on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests import servers
from tests.agent.rig import Rig
from tests.broker.gateway.rig import DialledRig
from tests.servers import RunningServer


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def agent_server() -> AsyncIterator[RunningServer]:
    async with servers.embedded_valkey() as server:
        yield server


@pytest_asyncio.fixture
async def rig(agent_server: RunningServer) -> AsyncIterator[Rig]:
    async with Rig(agent_server.url) as opened:
        yield opened


@pytest_asyncio.fixture(params=["straight", "dialling"])
async def either_rig(request: pytest.FixtureRequest, agent_server: RunningServer, tmp_path: Path) -> AsyncIterator[Rig]:
    """Machines on the direct link, and the same machines through a broker that they dial."""
    rig = Rig(agent_server.url) if request.param == "straight" else DialledRig(agent_server.url, tmp_path)
    async with rig as opened:
        yield opened
