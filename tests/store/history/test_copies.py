"""A copy of a history in a file: of one moment, cut back to an event, and put in place whole."""

from __future__ import annotations

import sqlite3
import stat
import threading
from pathlib import Path

import pytest

from northstar.domain.events import EventId
from northstar.store.history import HistoryDatabase
from northstar.store.history.copies import copy_history, draft_of, expect_whole, identity_in, put_history, revision_in
from northstar.store.history.errors import HistoryDamaged, HistoryGone
from northstar.store.history.upgrade import newest_revision


async def made(path: Path) -> None:
    """An empty history."""
    database = HistoryDatabase(f"sqlite:///{path}")
    await database.open()
    await database.close()


def rows(path: Path, statement: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


def told(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    try:
        with connection:
            for statement in statements:
                connection.execute(statement)
    finally:
        connection.close()


EVENT = "INSERT INTO events VALUES ('{cell}', {epoch}, {sequence}, 'job.submitted', 'j', 1, 1, '{{}}')"


async def test_a_copy_ends_with_the_event_that_it_is_to_end_with(tmp_path: Path) -> None:
    source, target = tmp_path / "history.db", tmp_path / "copy.db"
    await made(source)
    places = [(1, 8), (1, 9), (2, 10), (2, 11), (3, 9)]
    told(
        source,
        *(EVENT.format(cell=cell, epoch=e, sequence=s) for cell in ("a", "b") for e, s in places),
        "INSERT INTO offsets VALUES ('a', 3, 9), ('b', 3, 9)",
        "INSERT INTO gaps VALUES ('a', 2, 10, 1, 9, 'server_changed', 0, 0, 1), ('a', 3, 9, 2, 11, 'server_changed', 0, 3, 1)",
        "INSERT INTO identity VALUES ('history', 'an id')",
        # Of another version, which this one knows nothing of: rows of events, and up to where somebody has read.
        "CREATE TABLE letters (cell TEXT, id TEXT, epoch BIGINT, sequence BIGINT)",
        "INSERT INTO letters VALUES ('a', 'old', 2, 10), ('a', 'new', 2, 11), ('b', 'other', 3, 9)",
        "CREATE TABLE letter_states (cell TEXT, reader TEXT, epoch BIGINT, sequence BIGINT)",
        "INSERT INTO letter_states VALUES ('a', 'ahead', 3, 9), ('a', 'behind', 1, 8)",
    )
    copy_history(source, target, cell="a", up_to=EventId(2, 10))
    assert rows(target, "SELECT epoch, sequence FROM events WHERE cell = 'a' ORDER BY 1, 2") == places[:3]
    assert rows(target, "SELECT epoch, sequence FROM events WHERE cell = 'b' ORDER BY 1, 2") == places
    assert rows(target, "SELECT * FROM offsets ORDER BY 1") == [("a", 2, 10), ("b", 3, 9)]
    assert rows(target, "SELECT next_epoch, next_sequence FROM gaps") == [(2, 10)]
    assert rows(target, "SELECT id FROM letters ORDER BY id") == [("old",), ("other",)]
    assert rows(target, "SELECT reader, epoch, sequence FROM letter_states ORDER BY reader") == [
        ("ahead", 2, 10),
        ("behind", 1, 8),
    ]
    assert (identity_in(target), revision_in(target)) == ("an id", newest_revision())
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert len(rows(source, "SELECT 1 FROM events")) == 10  # the original has lost nothing


async def test_whoever_writes_meanwhile_is_neither_held_up_nor_half_in_it(tmp_path: Path) -> None:
    source = tmp_path / "history.db"
    await made(source)
    stop = threading.Event()

    def write() -> None:
        connection = sqlite3.connect(source, timeout=10)
        try:
            for at in range(1, 4_000, 2):
                if stop.is_set():
                    return
                with connection:  # two at a time, in one transaction
                    for sequence in (at, at + 1):
                        connection.execute(EVENT.format(cell="a", epoch=1, sequence=sequence))
        finally:
            connection.close()

    writing = threading.Thread(target=write)
    writing.start()
    try:
        for at in range(8):
            target = tmp_path / f"copy-{at}.db"
            copy_history(source, target, cell="a", up_to=EventId(9, 9))
            ((count,),) = rows(target, "SELECT count(*) FROM events")
            assert int(str(count)) % 2 == 0
    finally:
        stop.set()
        writing.join()


async def test_what_is_no_whole_database_is_named(tmp_path: Path) -> None:
    source = tmp_path / "history.db"
    with pytest.raises(HistoryGone):
        copy_history(source, tmp_path / "copy.db", cell="a", up_to=None)
    source.write_bytes(b"not a database" * 1_000)
    with pytest.raises(HistoryDamaged):
        copy_history(source, tmp_path / "copy.db", cell="a", up_to=None)
    source.unlink()
    await made(source)
    told(source, *(EVENT.format(cell="a", epoch=1, sequence=at) for at in range(3_000)))
    whole = source.read_bytes()
    source.write_bytes(whole[: len(whole) // 2] + b"\x55" * 8_192 + whole[len(whole) // 2 + 8_192 :])
    with pytest.raises(HistoryDamaged):
        expect_whole(source)


async def test_what_is_put_in_place_has_nothing_left_of_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    await made(path)
    told(path, EVENT.format(cell="a", epoch=1, sequence=1))
    await made(draft_of(path))
    path.with_name("history.db-wal").write_bytes(b"of the old one")
    put_history(path)
    assert rows(path, "SELECT count(*) FROM events") == [(0,)]
    assert not draft_of(path).exists()
    put_history(path)  # may be repeated
    assert rows(path, "SELECT count(*) FROM events") == [(0,)]
