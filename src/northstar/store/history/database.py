"""The history database: who writes has a thread and a connection of its own, readers share a few; every wait bounded, every fault typed."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import msgspec
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import QueuePool

from northstar.store.history.errors import HistoryBusy, HistoryDriverMissing, HistoryGone
from northstar.store.history.faults import FAULTS, translate
from northstar.store.history.url import HistoryUrl, parse_history_url

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Answer = TypeVar("Answer")

#: Threads and connections of one process: whoever writes takes turns in one, so that no number of readers keeps events from being written down.
_WRITERS = 1
READERS = 4
_WRITES = "northstar_writes"
#: Seconds until a lock that SQLite does not wait for is looked at again.
_LOCKED_S = 0.01


class HistoryOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of every wait for the database."""

    connect_timeout_s: int = 5
    #: How long a lock of somebody else's is waited for.
    lock_timeout_ms: int = 5_000
    #: How long one statement may take (PostgreSQL; SQLite works in this process).
    statement_timeout_ms: int = 30_000
    #: How long a reader waits for one of the others to end.
    reader_timeout_s: float = 5.0


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
        self._engine = _engine(self._url, self._options, connections=_WRITERS)
        self._readers_engine = _engine(self._url, self._options, connections=READERS)
        self._writer = ThreadPoolExecutor(_WRITERS, thread_name_prefix="history")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="history-reader")
        self._free_readers = asyncio.Semaphore(READERS)
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
            await self._in_thread(self._writer, lambda: _make_file(self._url.path))
        # Its libraries are for who changes tables, not for each command that reads them.
        from northstar.store.history.upgrade import upgrade_tables  # noqa: PLC0415

        await self.write(lambda connection: upgrade_tables(connection, place=self.place))

    async def close(self) -> None:
        """Let transactions under way end, then close the connections."""
        await asyncio.to_thread(self._writer.shutdown)
        await asyncio.to_thread(self._readers.shutdown)
        self._dispose()

    async def write(self, work: Callable[[Connection], Answer]) -> Answer:
        """Run `work` in one transaction that may write: all of it is kept on return, none of it after an error.

        Raises:
            Unavailable: One of `errors`; what the transaction did is undone, or its fate is unknown (HistoryGone).
        """
        return await self._in_thread(self._writer, lambda: self._transaction(self._engine, work, writes=True))

    async def read(self, work: Callable[[Connection], Answer]) -> Answer:
        """Run `work` in one transaction that only reads. Raises as `write`, and HistoryBusy: the other readers take too long."""
        try:
            async with asyncio.timeout(self._options.reader_timeout_s):
                await self._free_readers.acquire()
        except TimeoutError:
            raise HistoryBusy(place=self.place, readers=READERS, waited_s=self._options.reader_timeout_s) from None
        reading = asyncio.ensure_future(
            self._in_thread(self._readers, lambda: self._transaction(self._readers_engine, work, writes=False))
        )
        # Whoever gives up leaves a thread at work, so its place is free only when that one has ended.
        reading.add_done_callback(self._reader_ends)
        return await asyncio.shield(reading)

    async def read_to_write(self, work: Callable[[Connection], Answer]) -> Answer:
        """As `read`, for who needs the answer to write: in the writer's turn, so that readers cannot hold it up. Raises as `write`."""
        return await self._in_thread(self._writer, lambda: self._transaction(self._engine, work, writes=False))

    def _reader_ends(self, reading: asyncio.Future[Any]) -> None:
        self._free_readers.release()
        if not reading.cancelled():
            reading.exception()  # told to whoever waits; if he has given up, to nobody

    async def _in_thread(self, threads: ThreadPoolExecutor, call: Callable[[], Answer]) -> Answer:
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, call)
        except FAULTS as exc:
            raise translate(exc, place=self.place) from exc

    def _transaction(self, engine: Engine, work: Callable[[Connection], Answer], *, writes: bool) -> Answer:
        self._check_file()
        with engine.connect().execution_options(**{_WRITES: writes}) as connection, connection.begin():
            return work(connection)

    def _dispose(self) -> None:
        self._engine.dispose()
        self._readers_engine.dispose()

    def _check_file(self) -> None:
        """A file that was moved or replaced would go on taking rows that nobody finds again."""
        if self._url.path is None:
            return
        try:
            status = self._url.path.stat()
        except OSError as exc:
            self._dispose()
            raise HistoryGone(place=self.place, reason="the file is not there") from exc
        if self._file not in {None, (status.st_dev, status.st_ino)}:
            self._dispose()
        self._file = (status.st_dev, status.st_ino)


def _make_file(path: Path | None) -> None:
    assert path is not None  # noqa: S101 -- said to the type checker
    path.parent.mkdir(parents=True, exist_ok=True)
    # Results may be private; whoever wants to share them says so on the file.
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _engine(url: HistoryUrl, options: HistoryOptions, *, connections: int) -> Engine:
    common: dict[str, Any] = {
        "poolclass": QueuePool,
        "pool_size": connections,
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
            _keep_in_wal(connection, options)
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


def _keep_in_wal(connection: sqlite3.Connection, options: HistoryOptions) -> None:
    """SQLite waits for nobody while it changes the kind of journal, so two that open a new file at once meet here."""
    until_s = time.monotonic() + options.lock_timeout_ms / 1_000
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= until_s:
                raise
            time.sleep(_LOCKED_S)
        else:
            return


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
