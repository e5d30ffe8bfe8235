"""A database that is locked, full, gone or not ours: a typed error, a bounded retry, and nothing missing afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs

from northstar.domain.errors import Unavailable
from northstar.domain.limits import CellLimits
from northstar.domain.refusals import EventsBacklog
from northstar.store.history import HistoryDatabase, HistoryWriter
from northstar.store.history import errors as e
from northstar.store.history.faults import translate
from northstar.store.valkey import ValkeyClient
from tests.servers import eventually
from tests.store.history.conftest import OPTIONS, writer_for
from tests.store.history.postgres import Postgres, postgres
from tests.store.history.stored import first_ids, stored_ids
from tests.store.history.workplace import Workplace


@contextlib.asynccontextmanager
async def running(writer: HistoryWriter) -> AsyncIterator[None]:
    task = asyncio.create_task(writer.run(), name="history-writer")
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.contextmanager
def held(file: Path) -> Any:
    """Another program has the write lock."""
    other = sqlite3.connect(file, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")
    finally:
        other.close()


async def test_while_the_history_is_held_submit_is_refused_at_the_limit_and_afterwards_nothing_is_missing(
    client: ValkeyClient, sqlite_database: HistoryDatabase, sqlite_file: Path
) -> None:
    workplace = Workplace(client)
    await workplace.open(CellLimits(max_events=10))
    writer = writer_for(workplace, sqlite_database)
    async with running(writer):
        with held(sqlite_file), capture_logs() as lines:
            with pytest.raises(EventsBacklog, match="10 events wait for the history writer"):
                await _submit_for_ever(workplace)
            await eventually(lambda: _has_fault(writer), what="the writer says what it waits for")
            assert isinstance(fault_of(writer), e.HistoryLocked)
            assert await workplace.committed_event() == 0
        assert {line["code"] for line in lines if line["event"] == "history_waits"} == {"NS_HISTORY_LOCKED"}
        await eventually(lambda: _caught_up(workplace), what="the history has caught up")
        await workplace.submit("later")
        await eventually(lambda: _caught_up(workplace), what="the history has the later job too")
        assert fault_of(writer) is None
    assert await stored_ids(sqlite_database, workplace.name) == first_ids(await workplace.latest_event())


async def _submit_for_ever(workplace: Workplace) -> None:
    for number in range(100):
        await workplace.submit(f"held-{number}")


async def _has_fault(writer: HistoryWriter) -> bool:
    return fault_of(writer) is not None


def fault_of(writer: HistoryWriter) -> Unavailable | None:
    return writer.fault


async def _caught_up(workplace: Workplace) -> bool:
    return await workplace.committed_event() == await workplace.latest_event()


async def test_a_full_disk_undoes_the_whole_batch_and_says_what_to_do(
    workplace: Workplace, sqlite_database: HistoryDatabase
) -> None:
    # SQLite answers a page limit exactly as it answers a full disk.
    @event.listens_for(sqlite_database._engine, "begin")
    def limit(connection: Any) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    pages = 1  # SQLite raises it to what the file has already
    writer = writer_for(workplace, sqlite_database)
    for number in range(4):
        await workplace.run(*(f"j{number}-{one}" for one in range(100)), payload={"words": "x" * 1_000})
    with pytest.raises(e.HistoryDiskFull, match="has no room left: database or disk is full"):
        await writer.step()
    assert await stored_ids(sqlite_database, workplace.name) == []
    assert await workplace.committed_event() == 0
    pages = 100_000
    while await writer.step():
        pass
    assert await stored_ids(sqlite_database, workplace.name) == first_ids(await workplace.latest_event())


async def test_a_file_that_vanishes_is_missed_and_not_begun_anew(
    workplace: Workplace, sqlite_database: HistoryDatabase, sqlite_file: Path
) -> None:
    writer = writer_for(workplace, sqlite_database)
    await workplace.run("a")
    await writer.step()
    away = sqlite_file.with_name("away.db")
    sqlite_file.rename(away)
    await workplace.run("b")
    with pytest.raises(e.HistoryGone, match="does not answer: the file is not there"):
        await writer.step()
    assert not sqlite_file.exists()
    away.rename(sqlite_file)
    while not await _caught_up(workplace):
        await writer.step()
    assert await stored_ids(sqlite_database, workplace.name) == first_ids(await workplace.latest_event())


async def test_a_file_that_is_no_database_is_called_damaged(sqlite_file: Path) -> None:
    sqlite_file.write_bytes(b"this is a letter to my aunt, and no database at all; " * 50)
    database = HistoryDatabase(f"sqlite:///{sqlite_file}")
    with pytest.raises(e.HistoryDamaged, match="Move it away or restore a copy"):
        await database.open()
    await database.close()


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    database = HistoryDatabase(f"sqlite:///{tmp_path}/file/history.db")
    with pytest.raises(e.HistoryGone, match="File exists"):
        await database.open()
    await database.close()


async def test_postgres_that_is_stopped_and_started_again_costs_no_event(client: ValkeyClient) -> None:
    workplace = Workplace(client)
    await workplace.open()
    with postgres() as server:
        database = HistoryDatabase(server.new_database(), options=OPTIONS)
        await database.open()
        writer = writer_for(workplace, database)
        async with running(writer):
            await workplace.run("a")
            await eventually(lambda: _caught_up(workplace), what="the history has the first job")
            await asyncio.to_thread(server.stop)
            await workplace.run("b")
            await eventually(lambda: _has_fault(writer), what="the writer misses its database")
            assert isinstance(fault_of(writer), e.HistoryGone)
            await asyncio.to_thread(server.start)
            await eventually(lambda: _caught_up(workplace), what="the history has caught up")
        assert await stored_ids(database, workplace.name) == first_ids(await workplace.latest_event())
        await database.close()


async def test_a_row_held_in_postgres_is_waited_for_only_so_long(
    workplace: Workplace, postgres_server: Postgres
) -> None:
    url = postgres_server.new_database()
    database = HistoryDatabase(url, options=OPTIONS)
    await database.open()
    await workplace.run("a")
    with postgres_server.connect(url.partition("@/")[2].partition("?")[0]) as other:
        other.execute("BEGIN")
        other.execute("LOCK TABLE offsets")
        with pytest.raises(
            e.HistoryLocked, match="is held by another program: canceling statement due to lock timeout"
        ):
            await writer_for(workplace, database).step()
        other.execute("ROLLBACK")
    assert await writer_for(workplace, database).step() > 0
    await database.close()


async def test_a_database_that_does_not_exist_is_refused_by_name(postgres_server: Postgres) -> None:
    url = postgres_server.new_database().replace("/history_", "/nowhere_")
    database = HistoryDatabase(url)
    with pytest.raises(Unavailable, match='database "nowhere_'):
        await database.open()
    await database.close()


@pytest.mark.parametrize(
    ("cause", "kind"),
    [
        (psycopg.errors.DiskFull("no space left on device"), e.HistoryDiskFull),
        (psycopg.errors.DeadlockDetected("deadlock"), e.HistoryLocked),
        (psycopg.errors.QueryCanceled("statement timeout"), e.HistoryLocked),
        (psycopg.errors.AdminShutdown("terminating connection"), e.HistoryGone),
        (psycopg.errors.TooManyConnections("sorry, too many clients"), e.HistoryGone),
        (psycopg.OperationalError("connection refused"), e.HistoryGone),
        (psycopg.errors.DataCorrupted("invalid page"), e.HistoryDamaged),
        (psycopg.errors.InsufficientPrivilege("permission denied"), e.HistoryRefused),
        (psycopg.OperationalError("FATAL: password authentication failed for user"), e.HistoryRefused),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_each_fault_of_postgres_has_its_class(cause: Exception, kind: type[Unavailable]) -> None:
    failure = DBAPIError("INSERT …", {"secret": "payload"}, cause, hide_parameters=True)
    typed = translate(failure, place="postgresql://db/history")
    assert type(typed) is kind
    assert str(cause) in str(typed)
    assert "payload" not in str(typed)
