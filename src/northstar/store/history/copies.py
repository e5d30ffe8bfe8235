"""A copy of a history in SQLite, taken while it is written, and put into the place of another."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from northstar.domain.events import EventId
from northstar.store.history.errors import HistoryDamaged, HistoryGone
from northstar.store.history.faults import translate

#: What SQLite keeps beside a database in WAL mode.
_BESIDE: Final = ("-wal", "-shm", "-journal")
#: By which columns a table says of which event its rows are.
_NUMBERS: Final = (("epoch", "sequence"), ("next_epoch", "next_sequence"))
#: How tables are called in which a row says up to which event somebody has read; rows of all others are of one event each.
_CURSORS: Final = ("offsets", "states")
_BUSY_S: Final = 5.0
_DRAFT_END: Final = ".restoring"


def copy_history(source: Path, target: Path, *, cell: str, up_to: EventId | None) -> None:
    """Copy the database at `source` into the new file `target`, as it is at one moment; whoever writes it meanwhile is not held up.

    Of `cell` nothing is copied that came after the event `up_to`: the copy of the cell beside it does not know that. A dead letter that was
    sent back and ended again in between is in the copy of the cell alone. Blocks.

    Raises:
        HistoryGone: there is no such file, or it cannot be read. HistoryDamaged: it is no whole database.
        Unavailable: there is no room, or somebody holds it.
    """
    if not source.exists():
        raise HistoryGone(place=str(source), reason="the file is not there")
    try:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with _opened(source, mode="ro") as here, _opened(target, mode="rw") as there:
            here.backup(
                there
            )  # in one step, which is one transaction: in several it would begin anew with each commit of somebody else
            there.execute("PRAGMA journal_mode=DELETE")
            _cut(there, cell=cell, up_to=up_to or EventId(0, 0))
        expect_whole(target)
    except (sqlite3.Error, OSError) as exc:
        raise translate(exc, place=str(source)) from exc


def revision_in(path: Path) -> str:
    """The revision of the tables in a file; empty where there is none. Raises Unavailable."""
    return _word_in(path, "SELECT version_num FROM alembic_version")


def identity_in(path: Path) -> str:
    """What the history in a file is known by; empty for one that never met a cell. Raises Unavailable."""
    return _word_in(path, "SELECT id FROM identity")


def _word_in(path: Path, statement: str) -> str:
    try:
        with _opened(path, mode="ro") as connection:
            row = connection.execute(statement).fetchone()
    except sqlite3.OperationalError:  # there is no such table
        return ""
    except sqlite3.Error as exc:
        raise translate(exc, place=str(path)) from exc
    return "" if row is None else str(row[0])


def expect_whole(path: Path) -> None:
    """Have SQLite look over the whole file. Raises HistoryDamaged."""
    with _opened(path, mode="ro") as connection:
        said = connection.execute("PRAGMA quick_check(1)").fetchone()
    if said is None or said[0] != "ok":
        raise HistoryDamaged(place=str(path), reason=str(said[0]) if said else "it says nothing of itself")


def draft_of(path: Path) -> Path:
    """Where a history waits until it is put into the place of `path`: in the same folder, so that a rename suffices."""
    return path.with_name(path.name + _DRAFT_END)


def put_history(path: Path) -> None:
    """Put the draft into its place; what was there is gone, and what was beside it. May be repeated. Blocks. Raises OSError."""
    draft = draft_of(path)
    if not draft.exists():
        return
    for end in _BESIDE:
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + end).unlink()
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _cut(connection: sqlite3.Connection, *, cell: str, up_to: EventId) -> None:
    """Take back what came after an event: rows that it made go, and whoever notes up to where he has read has read up to there."""
    place = (cell, up_to.epoch, up_to.epoch, up_to.sequence)
    with connection:
        for table in [str(row[0]) for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]:
            columns = {str(row[1]) for row in connection.execute(f"PRAGMA table_info({table})")}
            numbers = next((pair for pair in _NUMBERS if columns >= {"cell", *pair}), None)
            if numbers is None:
                continue
            epoch, sequence = numbers
            after = f"cell = ? AND ({epoch} > ? OR ({epoch} = ? AND {sequence} > ?))"
            if table.endswith(_CURSORS):
                statement = f"UPDATE {table} SET {epoch} = ?, {sequence} = ? WHERE {after}"  # noqa: S608 -- names of ours
                connection.execute(statement, (up_to.epoch, up_to.sequence, *place))
            else:
                connection.execute(f"DELETE FROM {table} WHERE {after}", place)  # noqa: S608 -- as above


@contextmanager
def _opened(path: Path, *, mode: str) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(f"file:{quote(str(path))}?mode={mode}", uri=True, timeout=_BUSY_S)
    try:
        yield connection
    finally:
        connection.close()
