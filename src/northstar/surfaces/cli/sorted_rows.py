"""Rows in order though there are more than find room in memory: sorted by the piece, and merged from files."""

from __future__ import annotations

import heapq
import tempfile
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, Final, Self, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from types import TracebackType

#: What a row is sorted by, and the row. Rows that differ in the third part alone are versions of one; the last of them counts.
SortedRow: TypeAlias = tuple[int, str, int, str]

#: Rows in memory, about 50 MB; and files side by side, after which they become one.
PIECE: Final = 50_000
MOST_FILES: Final = 32
_decode: Final = msgspec.json.Decoder(tuple[int, str, int, str]).decode


class SortedRows:
    """Takes rows in any order; read once, after the last. Its files have no name, and go with the block."""

    def __init__(self, folder: Path, *, piece: int = PIECE, most_files: int = MOST_FILES) -> None:
        self._folder = folder
        self._piece = piece
        self._most_files = most_files
        self._rows: list[SortedRow] = []
        self._files: list[IO[bytes]] = []
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._open.close()

    def add(self, row: SortedRow) -> None:
        """Take a row. Raises OSError: the disk is full, or the folder cannot be written."""
        self._rows.append(row)
        if len(self._rows) < self._piece:
            return
        self._put(sorted(self._rows))
        self._rows = []
        if len(self._files) >= self._most_files:
            several, self._files = self._files, []
            self._put(heapq.merge(*map(_read, several)))
            for file in several:
                file.close()

    def latest(self) -> Iterator[SortedRow]:
        """Of each row its last version, in order. Raises OSError."""
        before: SortedRow | None = None
        for row in heapq.merge(sorted(self._rows), *map(_read, self._files)):
            if before is not None and before[:2] != row[:2]:
                yield before
            before = row
        if before is not None:
            yield before

    def _put(self, rows: Iterable[SortedRow]) -> None:
        file = self._open.enter_context(tempfile.TemporaryFile(dir=self._folder))  # noqa: SIM115 -- the stack closes it
        for row in rows:
            file.write(msgspec.json.encode(row) + b"\n")
        self._files.append(file)


def _read(file: IO[bytes]) -> Iterator[SortedRow]:
    file.seek(0)
    return map(_decode, file)
