"""A history in PostgreSQL is backed up by its own programs, and the restored cell goes on in it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from northstar.config import Settings
from northstar.store.history import HistoryReader
from tests.assembly.backups.conftest import at_work, caught_up, furnish, made_of, restored, running, state_of
from tests.store.history.postgres import Postgres, binaries, postgres


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as started:
        yield started


def tool(name: str, *arguments: str) -> None:
    done = subprocess.run([binaries() / name, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


async def test_the_cell_goes_on_in_a_history_that_was_copied_after_it(
    server: Postgres, elsewhere: Callable[..., Settings], tmp_path: Path
) -> None:
    url, dump = server.new_database(), tmp_path / "northstar-history.dump"
    first = elsewhere("first", history__url=url)
    async with running(first) as stack:
        await furnish(stack)
        made = await made_of(first, tmp_path / "backup.zip")
        assert made.manifest.history.kind == "elsewhere"
        assert made.manifest.history.place.startswith("postgresql")
        # Until the database is copied, work goes on.
        await at_work(stack).submit("later")
        await stack.cell.cancel(["later"], because="test")
        await caught_up(stack)
    async with running(first) as stack:  # in an epoch of its own
        await at_work(stack).submit("later still")
        await caught_up(stack)
    tool("pg_dump", "--format=custom", f"--file={dump}", url)

    again = server.new_database()
    tool("pg_restore", "--clean", "--if-exists", f"--dbname={again}", str(dump))
    second = elsewhere("second", history__url=again)
    done = await restored(second, made.path)
    assert done.epoch > made.manifest.cell.epoch + 1
    async with running(second) as stack:
        state = await state_of(stack)
        assert state.statuses == {"done": "succeeded", "held": "queued", "waits-1": "queued", "waits-2": "queued"}
        assert state.in_history == {"done", "later"}
        await at_work(stack).submit("anew")
        await caught_up(stack)
        (gap, *_) = await HistoryReader(stack.history, cell=stack.cell.name).gaps()
        assert gap.reason == "server_changed"
        assert gap.disowned > 0
