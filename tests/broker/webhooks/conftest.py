"""An office over each kind of database, and a receiver."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest_asyncio

from northstar.store.history import HistoryDatabase
from tests.broker.webhooks.office import Office
from tests.broker.webhooks.receiver import Receiver
from tests.broker.webhooks.receiver import receiver as running_receiver
from tests.servers import RunningServer
from tests.store.conftest import valkey_server
from tests.store.history.conftest import client, database, database_url, postgres_server, workplace
from tests.store.history.workplace import Workplace

__all__ = ["client", "database", "database_url", "postgres_server", "valkey_server", "workplace"]


@pytest_asyncio.fixture
async def office(workplace: Workplace, database: HistoryDatabase) -> AsyncIterator[Office]:
    async with AsyncExitStack() as stack:
        yield Office(workplace, database, stack)


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with running_receiver() as one:
        yield one


@pytest_asyncio.fixture
async def second_workplace(valkey_server: RunningServer) -> AsyncIterator[Workplace]:
    async with valkey_server.client() as connected:
        opened = Workplace(connected)
        await opened.open()
        yield opened
