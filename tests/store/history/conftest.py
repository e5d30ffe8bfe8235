"""A cell, and a history in each kind of database."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from northstar.store.history import HistoryDatabase, HistoryOptions, HistoryReader, HistoryWriter
from northstar.store.valkey import ValkeyClient
from tests.servers import RunningServer
from tests.store.history.postgres import Postgres, postgres
from tests.store.history.workplace import Workplace

#: Short, so that a test of a held lock does not wait for long.
OPTIONS = HistoryOptions(lock_timeout_ms=200)

NewWriter = Callable[..., HistoryWriter]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/history.db"
    server: Postgres = request.getfixturevalue("postgres_server")
    return server.new_database()


@pytest.fixture
def sqlite_file(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[HistoryDatabase]:
    opened = HistoryDatabase(database_url, options=OPTIONS)
    await opened.open()
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def sqlite_database(sqlite_file: Path) -> AsyncIterator[HistoryDatabase]:
    opened = HistoryDatabase(f"sqlite:///{sqlite_file}", options=OPTIONS)
    await opened.open()
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def client(valkey_server: RunningServer) -> AsyncIterator[ValkeyClient]:
    async with valkey_server.client() as connected:
        yield connected


@pytest_asyncio.fixture
async def workplace(client: ValkeyClient) -> Workplace:
    opened = Workplace(client)
    await opened.open()
    return opened


def writer_for(workplace: Workplace, database: HistoryDatabase, **changes: Any) -> HistoryWriter:
    quick: dict[str, Any] = {"jitter": random.Random(1).random, "wait_ms": 100, "gather_s": 0.0, "retry_cap_s": 0.2}
    return HistoryWriter(workplace.cell, database, **quick | changes)


def reader_for(workplace: Workplace, database: HistoryDatabase) -> HistoryReader:
    return HistoryReader(database, cell=workplace.name)


@pytest.fixture
def writer(workplace: Workplace, database: HistoryDatabase) -> HistoryWriter:
    return writer_for(workplace, database)


@pytest.fixture
def reader(workplace: Workplace, database: HistoryDatabase) -> HistoryReader:
    return reader_for(workplace, database)
