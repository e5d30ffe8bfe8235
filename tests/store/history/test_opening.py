"""Addresses, and tables that are made, brought up to date, or left alone because they are too new."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from northstar.store.history import HistoryDatabase, HistoryReader
from northstar.store.history.errors import HistoryDriverMissing, HistoryTooNew, HistoryUrlInvalid
from northstar.store.history.tables import metadata
from northstar.store.history.upgrade import MIGRATIONS, upgrade_tables
from tests.store.history.conftest import OPTIONS, writer_for
from tests.store.history.workplace import Workplace


def differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), metadata))


async def test_the_migrations_lead_to_the_tables_that_the_code_knows(database: HistoryDatabase) -> None:
    assert await database.read(differences) == []


def add_a_job(connection: Connection, *, cell: str) -> None:
    """As a version before this one wrote it."""
    row = "(cell, job_id, status, finished_ms, epoch, sequence) VALUES (:cell, 'old', 'succeeded', 1, 1, 1)"
    connection.execute(text(f"INSERT INTO jobs {row}"), {"cell": cell})


@pytest.mark.parametrize("revision", ["0001", "0003"])
async def test_an_older_database_is_brought_up_to_date_with_its_rows(
    database_url: str, workplace: Workplace, revision: str
) -> None:
    old = HistoryDatabase(database_url, options=OPTIONS)
    if database_url.startswith("sqlite"):
        Path(database_url.removeprefix("sqlite:///")).touch()
    await old.write(partial(upgrade_tables, place=old.place, to=revision))
    assert await old.read(differences) != []
    await old.write(partial(add_a_job, cell=workplace.name))
    await old.close()

    new = HistoryDatabase(database_url, options=OPTIONS)
    await new.open()
    assert await new.read(differences) == []
    reader = HistoryReader(new, cell=workplace.name)
    assert [job.job_id for job in (await reader.recent_jobs()).jobs] == ["old"]
    await workplace.run("a")
    await writer_for(workplace, new).step()
    assert {job.job_id for job in (await reader.recent_jobs()).jobs} == {"old", "a"}
    await new.close()


async def test_opening_twice_and_from_two_processes_at_once_makes_the_tables_once(database_url: str) -> None:
    both = [HistoryDatabase(database_url) for _ in range(2)]
    await asyncio.gather(*(one.open() for one in both))
    await both[0].open()
    assert await both[1].read(differences) == []
    for one in both:
        await one.close()


async def test_a_database_of_a_later_version_is_left_alone(database_url: str, database: HistoryDatabase) -> None:
    await database.write(lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    later = HistoryDatabase(database_url)
    with pytest.raises(HistoryTooNew, match="has revision 9999; this version of North Star knows up to 0006: install"):
        await later.open()
    await later.close()


async def test_a_migration_that_fails_leaves_nothing_behind(sqlite_file: Path) -> None:
    with sqlite3.connect(sqlite_file) as other:
        other.execute("CREATE TABLE gaps (mine)")
    other.close()
    database = HistoryDatabase(f"sqlite:///{sqlite_file}")
    with pytest.raises(Exception, match="table gaps already exists"):
        await database.open()
    await database.close()
    with sqlite3.connect(sqlite_file) as other:
        assert other.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall() == [("gaps",)]
    other.close()


async def test_sqlite_is_as_durable_as_the_cell_relies_on(sqlite_database: HistoryDatabase, sqlite_file: Path) -> None:
    def settings(connection: Connection) -> list[object]:
        names = ("journal_mode", "synchronous", "busy_timeout")
        return [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]

    assert await sqlite_database.read(settings) == ["wal", 2, OPTIONS.lock_timeout_ms]
    assert sqlite_file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("history.db", "it cannot be parsed"),
        ("sqlite://", "it names no file, and history must outlive the process"),
        ("sqlite:///:memory:", "it names no file"),
        ("sqlite:////tmp/h.db?mode=ro", "a file takes neither a host nor parameters"),
        ("mysql://me:secret@host/db", "'mysql' is not supported"),
        ("postgresql://me:secret@host:port/db", "it cannot be parsed"),
    ],
)
def test_an_address_that_cannot_be_used_says_which_can(url: str, reason: str) -> None:
    with pytest.raises(HistoryUrlInvalid) as refused:
        HistoryDatabase(url)
    sentence = str(refused.value)
    assert reason in sentence
    assert sentence.endswith("use sqlite:////PATH/history.db or postgresql://USER@HOST/DATABASE")
    assert "secret" not in sentence


def test_no_place_shows_a_password() -> None:
    place = HistoryDatabase("postgresql://me:secret@host/db?sslpassword=secret").place
    assert place == "postgresql://me:***@host/db"


def test_a_missing_driver_names_the_extra_that_brings_it() -> None:
    program = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from northstar.store.history import HistoryDatabase\n"
        "from northstar.store.history.errors import HistoryDriverMissing\n"
        "try:\n"
        "    HistoryDatabase('postgresql://me@host/db')\n"
        "except HistoryDriverMissing as missing:\n"
        "    print(missing.code, missing)\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    assert said.startswith(HistoryDriverMissing.code)
    assert "run: pip install 'northstar-broker[postgres]'" in said


def test_migrations_lie_within_the_package() -> None:
    package = Path(sys.modules["northstar.store.history"].__file__ or "").parent
    assert MIGRATIONS.is_relative_to(package)
    assert sorted(path.name for path in (MIGRATIONS / "versions").glob("r*.py")) == [
        "r0001_tables.py",
        "r0002_indexes.py",
        "r0003_identity.py",
        "r0004_attempts.py",
        "r0005_webhooks.py",
        "r0006_attempts_by_tenant.py",
    ]
