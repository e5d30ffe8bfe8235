"""Lines of logs: read from files that are being written, put aside and begun anew, and chosen by what is asked of them."""

from __future__ import annotations

import contextlib
import heapq
import os
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Final

import msgspec

#: Least urgent first.
LEVELS: Final = ("debug", "info", "warning", "error", "critical")
#: Bytes of a line; what is longer is no line of ours.
_MAX_LINE_BYTES: Final = 1_000_000
#: Processes whose files are read in one folder.
MOST_PROCESSES: Final = 500

_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line: who wrote it, when, how urgent it is, and all that it says."""

    process: str
    at: str
    level: str
    said: dict[str, Any]
    raw: bytes

    def is_about(self, name: str, wanted: str) -> bool:
        """Whether it is said under this name, or among several things (`job`, `jobs`)."""
        several = self.said.get(f"{name}s")
        return self.said.get(name) == wanted or (isinstance(several, list) and wanted in several)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which lines are meant; what is empty means any. `since` is a time as lines have it."""

    job: str = ""
    trace: str = ""
    machine: str = ""
    level: str = ""
    since: str = ""

    def means(self, line: LogLine) -> bool:
        """Whether the line is meant."""
        if self.level and LEVELS.index(line.level) < LEVELS.index(self.level):
            return False
        if self.since and line.at < self.since:
            return False
        pairs = (("job", self.job), ("trace", self.trace), ("machine", self.machine))
        return all(not wanted or line.is_about(name, wanted) for name, wanted in pairs)


def read_line(raw: bytes, process: str) -> LogLine | None:
    """A line of ours; None for what is none, such as a traceback of the interpreter or a banner.

    >>> read_line(b'{"event": "machine_lost", "level": "warning", "timestamp": "2026-01-01T00:00:00Z"}', "serve").level
    'warning'
    >>> read_line(b"Segmentation fault", "serve")
    """
    try:
        said = _decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    at, level = said.get("timestamp"), said.get("level")
    if not (isinstance(at, str) and level in LEVELS and isinstance(said.get("event"), str)):
        return None
    return LogLine(process=process, at=at, level=str(level), said=said, raw=raw)


def lines_of(stream: IO[bytes], process: str) -> Iterator[LogLine | None]:
    """All whole lines of a stream; None in place of what is no line of ours."""
    while raw := stream.readline(_MAX_LINE_BYTES):
        yield read_line(raw.strip(), process)


class ProcessLog:
    """The files of one process: `NAME.log`, and `NAME.log.1` and so on that were put aside, the higher the older."""

    def __init__(self, folder: Path, process: str) -> None:
        self.process = process
        self._path = folder / f"{process}.log"
        self._open: IO[bytes] | None = None
        self._half = b""

    def past(self) -> Iterator[LogLine]:
        """Everything that is there, the oldest first; what comes later is `news`. Raises OSError."""
        with contextlib.ExitStack() as stack:
            # The latest first, then all others at once: where one is put aside meanwhile, the latest is among the others too.
            self._open = self._opened(self._path)
            mine = None if self._open is None else _identity(self._open)
            aside = sorted(self._path.parent.glob(f"{self._path.name}.*"), key=_number, reverse=True)
            streams = [stack.enter_context(stream) for path in aside if (stream := self._opened(path)) is not None]
            for stream in streams:
                if _identity(stream) != mine:
                    yield from _ours(lines_of(stream, self.process))
        yield from self.news()

    def news(self) -> Iterator[LogLine]:
        """What was written since this was asked before; also the end of a file that was put aside meanwhile. Raises OSError."""
        while True:
            self._open = self._open or self._opened(self._path)
            if self._open is None:
                return
            was_put_aside = self._is_another(self._open)  # first: what is written afterwards is in the other one
            yield from _ours(self._rest(self._open))
            if not was_put_aside:
                return
            self.close()

    @staticmethod
    def _opened(path: Path) -> IO[bytes] | None:
        try:
            return path.open("rb")
        except FileNotFoundError:  # not there yet, or the oldest of those that were put aside, which has gone
            return None

    def _rest(self, stream: IO[bytes]) -> Iterator[LogLine | None]:
        while raw := stream.readline(_MAX_LINE_BYTES):
            self._half += raw
            if not self._half.endswith(b"\n") and len(self._half) < _MAX_LINE_BYTES:
                return  # it is being written
            line, self._half = self._half, b""
            yield read_line(line.strip(), self.process)

    def _is_another(self, stream: IO[bytes]) -> bool:
        """Whether the file of this name is not the open one any more."""
        try:
            now = self._path.stat()
        except FileNotFoundError:
            return False
        return (now.st_dev, now.st_ino) != _identity(stream)

    def close(self) -> None:
        """Read no more."""
        if self._open is not None:
            self._open.close()
        self._open, self._half = None, b""


def _identity(stream: IO[bytes]) -> tuple[int, int]:
    found = os.fstat(stream.fileno())
    return found.st_dev, found.st_ino


def _number(path: Path) -> int:
    number = path.suffix[1:]
    return int(number) if number.isdecimal() and len(number) < 9 else 0


def _ours(lines: Iterable[LogLine | None]) -> Iterator[LogLine]:
    return (line for line in lines if line is not None)


def processes_in(folder: Path) -> list[str]:
    """The processes that keep what they log there, by name. Raises OSError."""
    return sorted(path.name.removesuffix(".log") for path in folder.iterdir() if path.name.endswith(".log"))[
        :MOST_PROCESSES
    ]


def latest(streams: Iterable[Iterable[LogLine]], wanted: Wanted, *, count: int) -> list[LogLine]:
    """The last lines that are meant, of all streams together by their time; each stream is in order already."""
    merged = heapq.merge(*streams, key=lambda line: line.at)
    return list(deque((line for line in merged if wanted.means(line)), maxlen=count))
