"""One server to a data directory.

The lock belongs to an open file that the server process inherits: it stays taken for as long as the server lives, also
when the process that started it is gone. The kernel frees it; no lock can be left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import socket
import weakref
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from northstar.store.errors import DataDirectoryInUse, DataDirectoryUnusable, DiskFull

LOCK_NAME: Final = "northstar.lock"

#: A server whose parent was killed has been told to end and needs a moment to sync its file.
_ORPHAN_PATIENCE_S: Final = 10.0
#: Somebody who was killed a moment ago may still be on the way out.
_LIVING_PATIENCE_S: Final = 0.25
_POLL_S: Final = 0.02
_MAX_HOLDER_BYTES: Final = 4096


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Who took the lock, as written in the lock file; only ever used for messages and for tidying up."""

    host: str
    pid: int
    #: Start of that process in clock ticks since boot: tells it from a later process with the same id.
    started_ticks: int | None
    since: str
    server_pid: int | None = None
    #: Where the server listens, so that a later start can remove what a killed one left.
    socket_path: str | None = None

    def is_alive(self) -> bool:
        """Whether the process that took the lock still runs; True where it runs on another host."""
        if self.host != socket.gethostname():
            return True
        if not _exists(self.pid):
            return False
        # Where there is no /proc, the process id has to do.
        return self.started_ticks is None or _started_ticks(self.pid) == self.started_ticks

    def sentence(self) -> str:
        """For example: `process 4711 (its Valkey: 4712) since 2026-03-01T10:00:00+00:00`."""
        where = "" if self.host == socket.gethostname() else f" on {self.host}"
        if self.server_pid is None:
            return f"process {self.pid}{where} since {self.since}"
        if self.is_alive():
            return f"process {self.pid}{where} (its Valkey: {self.server_pid}) since {self.since}"
        return f"Valkey process {self.server_pid}{where}, which outlived process {self.pid}"


class DataDirectoryLock:
    """Take the lock with `acquire`, hand `fileno` to the server, let go with `close`."""

    def __init__(self, data_dir: Path, *, orphan_patience_s: float = _ORPHAN_PATIENCE_S) -> None:
        self._data_dir = data_dir
        self._orphan_patience_s = orphan_patience_s
        self._fd: int | None = None
        self._holder: Holder | None = None
        #: What the holder before wrote, if it did not end in good order.
        self.left_behind: Holder | None = None

    @property
    def fileno(self) -> int:
        """The descriptor to be inherited by the server."""
        if self._fd is None:
            raise RuntimeError("the lock is not held")
        return self._fd

    async def acquire(self) -> None:
        """Make the directory if need be and take its lock.

        Raises:
            DataDirectoryInUse: Somebody else has it. Where that somebody was killed, its server gets
                some seconds to end.
            DataDirectoryUnusable: It cannot be made or written.
            DiskFull: There is no space for the lock file.
        """
        try:
            fd = self._open()
        except OSError as exc:
            raise directory_fault(self._data_dir, exc) from exc
        try:
            await self._wait_for(fd)
            self._take(fd)
        except OSError as exc:
            os.close(fd)
            raise directory_fault(self._data_dir, exc) from exc
        except BaseException:
            os.close(fd)
            raise

    def note(self, *, server_pid: int, socket_path: Path | None) -> None:
        """Write down which server the lock is held for."""
        if self._holder is None or self._fd is None:
            raise RuntimeError("the lock is not held")
        where = None if socket_path is None else str(socket_path)
        self._holder = msgspec.structs.replace(self._holder, server_pid=server_pid, socket_path=where)
        _write_holder(self._fd, self._holder)

    def close(self, *, in_good_order: bool = True) -> None:
        """Let go of our half. The lock itself is free once the server has ended, too."""
        if self._fd is None:
            return
        if in_good_order:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, 0)
        os.close(self._fd)
        self._fd = None
        _held.discard(self)

    def _open(self) -> int:
        self._data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(self._data_dir / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    async def _wait_for(self, fd: int) -> None:
        clock = asyncio.get_running_loop()
        began = clock.time()
        while not _try_lock(fd):
            holder = _read_holder(fd)
            # No name yet: it took the lock a moment ago. Dead: its server has been told to end and is at it.
            may_end_soon = holder is None or not holder.is_alive()
            patience_s = self._orphan_patience_s if may_end_soon else _LIVING_PATIENCE_S
            if clock.time() - began > patience_s:
                sentence = holder.sentence() if holder else "a process that gives no name"
                pid = (holder.pid if holder.is_alive() else holder.server_pid) if holder else None
                raise DataDirectoryInUse(data_dir=self._data_dir, holder=sentence, pid=pid)
            await asyncio.sleep(_POLL_S)

    def _take(self, fd: int) -> None:
        self.left_behind = _read_holder(fd)
        pid = os.getpid()
        self._holder = Holder(
            host=socket.gethostname(),
            pid=pid,
            started_ticks=_started_ticks(pid),
            since=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        _write_holder(fd, self._holder)
        self._fd = fd
        _held.add(self)

    def _forget_in_forked_child(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


#: A forked child must not keep a lock alive that it knows nothing of.
_held: weakref.WeakSet[DataDirectoryLock] = weakref.WeakSet()


def _forget_all_in_forked_child() -> None:
    for lock in list(_held):
        lock._forget_in_forked_child()  # noqa: SLF001 -- same module
    _held.clear()


os.register_at_fork(after_in_child=_forget_all_in_forked_child)


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_holder(fd: int) -> Holder | None:
    try:
        return msgspec.json.decode(os.pread(fd, _MAX_HOLDER_BYTES, 0), type=Holder)
    except msgspec.DecodeError:
        return None


def _write_holder(fd: int, holder: Holder) -> None:
    text = msgspec.json.encode(holder)
    os.pwrite(fd, text, 0)
    os.ftruncate(fd, len(text))


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _started_ticks(pid: int) -> int | None:
    """Field 22 of /proc/PID/stat; None where there is no such file, or only a zombie is left of the process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    state, *fields = text.rpartition(")")[2].split()
    return None if state in {"Z", "X"} else int(fields[18])


def directory_fault(data_dir: Path, exc: OSError) -> DataDirectoryUnusable | DiskFull:
    """Give the error for what the system said about the directory or a file in it."""
    reason = exc.strerror or str(exc)
    if exc.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFull(f"{reason} for data directory {data_dir}")
    return DataDirectoryUnusable(data_dir=data_dir, reason=f"{reason}: {exc.filename}" if exc.filename else reason)
