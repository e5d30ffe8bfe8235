"""What processes that stay log, kept in files of a folder: each process in its own, none ever larger than it may be."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final

from northstar.config import Settings

#: In place of a folder: no process keeps anything.
NOWHERE: Final = "none"
#: Processes of one kind that keep what they log in one folder, such as several `serve` of one host.
MOST_ALIKE: Final = 16
_ONLY_OWNER: Final = 0o600


def logs_folder(settings: Settings) -> Path | None:
    """Where `up` keeps what it logs, and `northstar logs` looks; None: nowhere."""
    if settings.log.folder == NOWHERE:
        return None
    return Path(settings.log.folder) if settings.log.folder else settings.data_path / "logs"


def kept_log(settings: Settings, process: str, *, by_default: bool) -> logging.Handler | None:
    """The file for what `process` logs, such as `serve`; None where it keeps nothing.

    Without a `log.folder` only those keep something that do so `by_default`. A log that cannot be kept ends nothing: that is said on the
    standard error, where all lines go in any case.
    """
    folder = logs_folder(settings)
    if folder is None or not (settings.log.folder or by_default):
        return None
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path, lock = _taken(folder, process)
        return _KeptLog(path, lock, max_bytes=int(settings.log.max_mib * 1024**2), keep=settings.log.keep)
    except OSError as exc:
        sys.stderr.write(f"what is logged is not kept in {folder}: {exc.strerror or exc}; set log.folder\n")
        return None


def _taken(folder: Path, process: str) -> tuple[Path, int]:
    """The first file of this process's kind that nobody else writes, and the open file by which others know. Raises OSError."""
    for number in range(1, MOST_ALIKE + 1):
        name = process if number == 1 else f"{process}-{number}"
        lock = os.open(folder / f".{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _ONLY_OWNER)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
        else:
            return folder / f"{name}.log", lock
    raise OSError(f"{MOST_ALIKE} processes called {process} write there already")


class _KeptLog(RotatingFileHandler):
    """Appends to a file that only its owner may read, and puts it aside as NAME.log.1 before it grows too large."""

    def __init__(self, path: Path, lock: int, *, max_bytes: int, keep: int) -> None:
        self._lock_file = lock
        self._has_failed = False
        # Without files to put aside, the standard library would let the one file grow for ever.
        super().__init__(path, maxBytes=max_bytes, backupCount=max(1, keep), encoding="utf-8")
        self._keeps_none = keep == 0

    def _open(self):  # type: ignore[no-untyped-def]  # the standard library's own type is private
        return os.fdopen(
            os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, _ONLY_OWNER),
            "a",
            encoding="utf-8",
            errors="backslashreplace",
        )

    def doRollover(self) -> None:  # noqa: N802 - the standard library's name
        super().doRollover()
        if self._keeps_none:
            with contextlib.suppress(OSError):
                Path(f"{self.baseFilename}.1").unlink()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the standard library's name
        """A disk that is full must not turn every line into a traceback: said once."""
        del record
        if not self._has_failed:
            self._has_failed = True
            sys.stderr.write(f"what is logged is not kept in {self.baseFilename} at present: {sys.exc_info()[1]}\n")

    def close(self) -> None:
        """Let others have the file."""
        super().close()
        if self._lock_file >= 0:
            os.close(self._lock_file)
            self._lock_file = -1
