"""Where a worker writes down which jobs it started and when: a file in memory that the harness reads along.

Layout, all little-endian 64-bit: the moment the worker was ready, one spare word, then for each started job, in order,
its number and the moment it started. A moment is CLOCK_MONOTONIC in nanoseconds, one clock for all processes of a
machine (and for Node, whose `process.hrtime` is the same). A moment of 0 means: not yet.
"""

from __future__ import annotations

import itertools
import mmap
import os
import struct
import time
from collections.abc import Sequence
from pathlib import Path

#: Set for every worker process: the path of its tally.
PATH_VARIABLE = "NORTHSTAR_BENCH_TALLY"
_RECORD = struct.Struct("<qq")


class TallyWriter:
    """The worker's side. Threads may count at once: each call takes its own slot."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 0)
        self._slots = itertools.count(_RECORD.size, _RECORD.size)

    def ready(self) -> None:
        _RECORD.pack_into(self._memory, 0, time.monotonic_ns(), 0)

    def count(self, number: int) -> None:
        started_ns = time.monotonic_ns()
        _RECORD.pack_into(self._memory, next(self._slots), number, started_ns)


class TallyReader:
    """The harness's side. Creates the file; `capacity` bounds how many starts a worker may note down."""

    def __init__(self, path: Path, capacity: int) -> None:
        self.path = path
        with path.open("w+b") as file:
            file.truncate(_RECORD.size * (capacity + 1))
            self._memory = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        self._capacity = capacity

    @property
    def ready_ns(self) -> int:
        """When the worker said that it was ready; 0 while it has not."""
        return int(_RECORD.unpack_from(self._memory, 0)[0])

    def has(self, first: int, count: int) -> bool:
        """Whether `count` starts, from the `first` on, have all been noted: threads may fill a later slot earlier."""
        last = self._record(first + count - 1)[1] != 0
        return last and len(self.records(first, count)) == count

    def records(self, first: int, count: int) -> Sequence[tuple[int, int]]:
        """(number, started_ns) of `count` starts, from the `first` on; fewer when fewer happened."""
        known = (self._record(index) for index in range(first, min(first + count, self._capacity)))
        return [record for record in known if record[1]]

    def close(self) -> None:
        self._memory.close()

    def _record(self, index: int) -> tuple[int, int]:
        number, started_ns = _RECORD.unpack_from(self._memory, _RECORD.size * (index + 1))
        return int(number), int(started_ns)


_writer: TallyWriter | None = None


def _own() -> TallyWriter:
    global _writer  # noqa: PLW0603 - a job is a bare function in most queues: it has nowhere else to keep this
    if _writer is None:
        _writer = TallyWriter(Path(os.environ[PATH_VARIABLE]))
    return _writer


def ready() -> None:
    """Say that this worker is about to take jobs."""
    _own().ready()


def count(number: int) -> None:
    """The whole work of a job: note that it started."""
    (_writer or _own()).count(number)
