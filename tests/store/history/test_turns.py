"""Who takes turns with whom at the history: readers with readers, for so long; nobody with whoever writes events down."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Connection, text

from northstar.store.history import HistoryDatabase, HistoryOptions, HistoryWriter
from northstar.store.history.database import READERS
from northstar.store.history.errors import HistoryBusy
from tests.store.history.workplace import Workplace

OPTIONS = HistoryOptions(reader_timeout_s=0.05)


@contextlib.asynccontextmanager
async def read_by_all(database: HistoryDatabase) -> AsyncIterator[list[asyncio.Task[None]]]:
    """As many readers as may be, each of them at work until the block ends."""
    free, begun = threading.Event(), threading.Barrier(READERS + 1)

    def slow(connection: Connection) -> None:
        connection.execute(text("SELECT 1"))
        begun.wait(20)
        free.wait(20)

    readers = [asyncio.create_task(database.read(slow)) for _ in range(READERS)]
    await asyncio.to_thread(begun.wait, 20)
    try:
        yield readers
    finally:
        free.set()
        await asyncio.gather(*readers, return_exceptions=True)


def one(connection: Connection) -> int:
    return int(connection.execute(text("SELECT 1")).scalar_one())


async def test_readers_keep_nobody_from_writing_events_down(
    workplace: Workplace, database: HistoryDatabase, writer: HistoryWriter
) -> None:
    await workplace.run("a", "b")
    async with read_by_all(database):
        while await writer.step():
            pass
        assert await workplace.committed_event() == await workplace.latest_event()


async def test_a_reader_for_whom_there_is_no_room_is_told_so_soon_and_by_a_code(database_url: str) -> None:
    database = HistoryDatabase(database_url, options=OPTIONS)
    await database.open()
    async with read_by_all(database):
        with pytest.raises(HistoryBusy, match=f"^{READERS} others read the history at .* within 0.05 s; come back"):
            await database.read(one)
        assert await database.write(one) == 1
    assert await database.read(one) == 1
    await database.close()


async def test_a_reader_that_gives_up_has_its_place_until_its_thread_has_ended(database_url: str) -> None:
    database = HistoryDatabase(database_url, options=OPTIONS)
    await database.open()
    async with read_by_all(database) as readers:
        for reader in readers:
            reader.cancel()
        await asyncio.wait(readers)
        with pytest.raises(HistoryBusy):
            await database.read(one)
    async with asyncio.timeout(20):
        while True:  # a thread ends a moment after what it waited for
            with contextlib.suppress(HistoryBusy):
                assert await database.read(one) == 1
                break
    await database.close()


async def test_a_page_of_one_tenant_is_read_by_an_index_of_its_own(sqlite_database: HistoryDatabase) -> None:
    query = (
        "EXPLAIN QUERY PLAN SELECT * FROM attempts WHERE cell = 'c' AND tenant = 't' "
        "ORDER BY epoch DESC, sequence DESC LIMIT 100"
    )

    def plan(connection: Connection) -> str:
        return " ".join(str(row) for row in connection.execute(text(query)))

    told = await sqlite_database.read(plan)
    assert "attempts_by_tenant" in told
    assert "TEMP B-TREE" not in told
