"""kill -9 of a writing process, at the worst moment and at any: every event is in the history once."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from northstar.domain.events import EventId
from northstar.store.history import HistoryDatabase, HistoryReader
from tests.servers import RunningServer
from tests.store.history.conftest import writer_for
from tests.store.history.stored import first_ids, stored_ids, stored_offset
from tests.store.history.workplace import Workplace

ROOT = Path(__file__).resolve().parents[3]


@contextlib.asynccontextmanager
async def writing(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The process, until it is killed here at the latest."""
    command = [sys.executable, "-m", "tests.store.history.writer_process", *arguments]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        # The pipe is read to its end, or its transport is collected with a warning.
        assert process.stdout is not None
        await process.stdout.read()


async def line_of(process: asyncio.subprocess.Process) -> list[str]:
    assert process.stdout is not None
    async with asyncio.timeout(60):
        return (await process.stdout.readline()).decode().split()


async def test_a_writer_killed_between_the_commit_and_telling_the_cell_is_followed_by_one_that_repeats_nothing(
    workplace: Workplace, database: HistoryDatabase, database_url: str, valkey_server: RunningServer
) -> None:
    await workplace.run(*(f"j{number}" for number in range(20)))
    count = await workplace.latest_event()
    async with writing(valkey_server.url, workplace.name, database_url, "mute") as process:
        assert await line_of(process) == ["running"]
        assert await line_of(process) == ["committed", "1", "10"]
    assert await stored_offset(database, workplace.name) == EventId(1, 10)
    assert await workplace.committed_event() == 0
    assert await workplace.waiting_events() == count

    writer = writer_for(workplace, database)
    assert await writer.step() == count - 10
    assert await stored_ids(database, workplace.name) == first_ids(count)
    assert await workplace.waiting_events() == 0
    reader = HistoryReader(database, cell=workplace.name)
    assert len((await reader.recent_jobs()).jobs) == 20
    assert await reader.gaps() == []


async def test_a_follower_with_nothing_left_to_write_still_tells_the_cell(
    workplace: Workplace, database: HistoryDatabase, database_url: str, valkey_server: RunningServer
) -> None:
    await workplace.submit("a")
    count = await workplace.latest_event()
    async with writing(valkey_server.url, workplace.name, database_url, "mute") as process:
        assert await line_of(process) == ["running"]
        assert await line_of(process) == ["committed", "1", str(count)]
    assert await writer_for(workplace, database).step() == 0
    assert await workplace.committed_event() == count
    assert await workplace.waiting_events() == 0


async def test_writers_killed_at_any_moment_leave_every_event_once(
    workplace: Workplace, database: HistoryDatabase, database_url: str, valkey_server: RunningServer
) -> None:
    moments = random.Random(20)
    for number in range(4):
        await workplace.run(*(f"j{number}-{one}" for one in range(100)))
        async with writing(valkey_server.url, workplace.name, database_url) as process:
            assert await line_of(process) == ["running"]
            await asyncio.sleep(moments.uniform(0, 0.15))
    writer = writer_for(workplace, database)
    while await workplace.waiting_events():
        await writer.step()
    assert await stored_ids(database, workplace.name) == first_ids(await workplace.latest_event())
    assert await HistoryReader(database, cell=workplace.name).gaps() == []
