"""The history database: one transaction at a time in a thread of its own, every wait bounded, every fault typed."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import msgspec
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import QueuePool

from northstar.store.history.errors import HistoryDriverMissing, HistoryGone
from northstar.store.history.faults import FAULTS, translate
from northstar.store.history.url import HistoryUrl, parse_history_url

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Answer = TypeVar("Answer")

#: Threads and connections of one process: the writer's, and one for readers.
_THREADS = 2
_WRITES = "northstar_writes"


class HistoryOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of every wait for the database."""

    connect_timeout_s: int = 5
    #: How long a lock of somebody else's is waited for.
    lock_timeout_ms: int = 5_000
    #: How long one statement may take (PostgreSQL; SQLite works in this process).
    statement_timeout_ms: int = 30_000


class HistoryDatabase:
    """A history in SQLite or PostgreSQL. `open` it first, `close` it last; safe to share between tasks of one loop."""

    def __init__(self, url: str, *, options: HistoryOptions | None = None) -> None:
        """Does not touch the database.

        Raises:
            HistoryUrlInvalid: The address cannot be understood.
            HistoryDriverMissing: It is PostgreSQL's, and the driver is not installed.
        """
        self._url = parse_history_url(url)
        self._options = options or HistoryOptions()
        self._engine = _engine(self._url, self._options)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="history")
        self._file: tuple[int, int] | None = None

    @property
    def place(self) -> str:
        """Where it is, without secrets."""
        return self._url.shown

    async def open(self) -> None:
        """Make the database or bring its tables up to date.

        Raises:
            HistoryTooNew: A later version of North Star has been here.
            Unavailable: It cannot be reached, made, locked or read.
        """
        if self._url.path is not None:
            await self._in_thread(lambda: _make_file(self._url.path))
        # Its libraries are for who changes tables, not for each command that reads them.
        from northstar.store.history.upgrade import upgrade_tables  # noqa: PLC0415

        await self.write(lambda connection: upgrade_tables(connection, place=self.place))

    async def close(self) -> None:
        """Let a transaction under way end, then close the connections."""
        await asyncio.to_thread(self._threads.shutdown)
        self._engine.dispose()

    async def write(self, work: Callable[[Connection], Answer]) -> Answer:
        """Run `work` in one transaction that may write: all of it is kept on return, none of it after an error.

        Raises:
            Unavailable: One of `errors`; what the transaction did is undone, or its fate is unknown (HistoryGone).
        """
        return await self._in_thread(lambda: self._transaction(work, writes=True))

    async def read(self, work: Callable[[Connection], Answer]) -> Answer:
        """Run `work` in one transaction that only reads. Raises as `write`."""
        return await self._in_thread(lambda: self._transaction(work, writes=False))

    async def _in_thread(self, call: Callable[[], Answer]) -> Answer:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, call)
        except FAULTS as exc:
            raise translate(exc, place=self.place) from exc

    def _transaction(self, work: Callable[[Connection], Answer], *, writes: bool) -> Answer:
        self._check_file()
        with self._engine.connect().execution_options(**{_WRITES: writes}) as connection, connection.begin():
            return work(connection)

    def _check_file(self) -> None:
        """A file that was moved or replaced would go on taking rows that nobody finds again."""
        if self._url.path is None:
            return
        try:
            status = self._url.path.stat()
        except OSError as exc:
            self._engine.dispose()
            raise HistoryGone(place=self.place, reason="the file is not there") from exc
        if self._file not in {None, (status.st_dev, status.st_ino)}:
            self._engine.dispose()
        self._file = (status.st_dev, status.st_ino)


def _make_file(path: Path | None) -> None:
    assert path is not None  # noqa: S101 -- said to the type checker
    path.parent.mkdir(parents=True, exist_ok=True)
    # Results may be private; whoever wants to share them says so on the file.
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _engine(url: HistoryUrl, options: HistoryOptions) -> Engine:
    common: dict[str, Any] = {
        "poolclass": QueuePool,
        "pool_size": _THREADS,
        "max_overflow": 0,
        "pool_timeout": options.connect_timeout_s,
        "json_serializer": lambda value: msgspec.json.encode(value).decode(),
        "json_deserializer": msgspec.json.decode,
        # Statements in an error would show payloads in logs.
        "hide_parameters": True,
    }
    if url.path is not None:
        return _sqlite(url.path, options, common)
    try:
        return create_engine(url.server or "", connect_args=_postgres_arguments(url, options), **common)
    except ImportError as exc:
        raise HistoryDriverMissing(str(exc)) from exc


def _sqlite(path: Path, options: HistoryOptions, common: dict[str, Any]) -> Engine:
    # `rw`: only `open` makes the file, so that a vanished one is missed instead of begun anew.
    address = f"file:{quote(str(path))}?mode=rw"

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
        try:
            connection.execute(f"PRAGMA busy_timeout={options.lock_timeout_ms:d}")
            connection.execute("PRAGMA journal_mode=WAL")
            # FULL: in WAL mode a weaker one may lose the last commits with the power, after the cell has trimmed them.
            connection.execute("PRAGMA synchronous=FULL")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    engine = create_engine("sqlite://", creator=connect, **common)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that reads first and writes later could not wait for its turn, so a writer takes it at once.
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgres_arguments(url: HistoryUrl, options: HistoryOptions) -> dict[str, Any]:
    bounds = f"-c lock_timeout={options.lock_timeout_ms} -c statement_timeout={options.statement_timeout_ms}"
    given = {} if url.server is None else url.server.query
    wanted: dict[str, Any] = {
        "application_name": "northstar",
        "connect_timeout": options.connect_timeout_s,
        "options": bounds,
        # Notice a peer that vanished in the middle of a transaction.
        "tcp_user_timeout": options.statement_timeout_ms,
    }
    return {name: value for name, value in wanted.items() if name not in given}
