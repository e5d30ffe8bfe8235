"""What the store remembers of files between starts: hashes, where a file came from, and when it was last used.

A row speaks for a file only while path, size, time of change and inode are the same. The journal holds nothing that
cannot be learnt again: a damaged one is put aside, and hashing starts over.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from northstar.agent.models.errors import ModelStoreUnavailable
from northstar.agent.models.files import FileFacts

NAME: Final = "journal.db"
_BUSY_S: Final = 30.0
_TABLE: Final = """
CREATE TABLE IF NOT EXISTS files (
  place TEXT PRIMARY KEY, size_bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, inode INTEGER NOT NULL,
  sha256 TEXT NOT NULL, fetched INTEGER NOT NULL, fetch_s REAL NOT NULL, used_at_s REAL NOT NULL
) STRICT, WITHOUT ROWID
"""


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a file. `used_at_s` is wall-clock time, compared only with itself."""

    sha256: str
    #: Whether it was fetched by the store, and so can be fetched again.
    fetched: bool = False
    #: Seconds that fetching it took; 0 if unknown.
    fetch_s: float = 0.0
    used_at_s: float = 0.0


class Journal:
    """A small SQLite file beside the models; several processes may have it open."""

    def __init__(self, folder: Path, *, before_write: Callable[[], None] = lambda: None) -> None:
        """Open or make it.

        Raises:
            ModelStoreUnavailable: neither works.
        """
        self._path = folder / NAME
        self._lock = threading.Lock()
        self._before_write = before_write
        try:
            self._database = _opened(self._path)
        except sqlite3.DatabaseError as error:
            try:
                self._path.replace(folder / f"{NAME}.damaged")
                self._database = _opened(self._path)
            except (OSError, sqlite3.Error) as again:
                raise ModelStoreUnavailable(f"{self._path}: {again}") from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    def known(self, place: str, facts: FileFacts) -> Known | None:
        """What is known of this very file."""
        with self._using() as database:
            row = database.execute(
                "SELECT sha256, fetched, fetch_s, used_at_s FROM files"
                " WHERE place = ? AND size_bytes = ? AND mtime_ns = ? AND inode = ?",
                (place, facts.size_bytes, facts.mtime_ns, facts.inode),
            ).fetchone()
        return row and Known(sha256=row[0], fetched=bool(row[1]), fetch_s=row[2], used_at_s=row[3])

    def remember(self, place: str, facts: FileFacts, known: Known) -> None:
        """From now on this is known of the file."""
        with self._using(writes=True) as database:
            database.execute(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (place, *msgspec.structs.astuple(facts), known.sha256, known.fetched, known.fetch_s, known.used_at_s),
            )

    def used(self, places: Iterable[str], *, at_s: float) -> None:
        """These files were used."""
        rows = [(at_s, place) for place in places]
        if rows:
            with self._using(writes=True) as database:
                database.executemany("UPDATE files SET used_at_s = ? WHERE place = ?", rows)

    def forget(self, place: str) -> None:
        """The file is gone."""
        with self._using(writes=True) as database:
            database.execute("DELETE FROM files WHERE place = ?", (place,))

    @contextlib.contextmanager
    def _using(self, *, writes: bool = False) -> Iterator[sqlite3.Connection]:
        if writes:
            self._before_write()
        try:
            with self._lock, self._database:
                yield self._database
        except sqlite3.Error as error:
            raise ModelStoreUnavailable(f"{self._path}: {error}") from error


def _opened(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=_BUSY_S, check_same_thread=False)
    try:
        database.execute(_TABLE)
        if database.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("its pages contradict each other")
        database.commit()
    except BaseException:
        database.close()
        raise
    return database
