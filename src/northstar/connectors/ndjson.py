"""JSON objects, one a line, out of a byte stream that may be cut anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from northstar.domain.amounts import exactly

#: Longest line that a well-meaning engine sends.
MAX_LINE_BYTES: Final = 1024 * 1024


class LineTooLong(ValueError):
    """A line is longer than the parser may hold."""


class LineStream:
    """Turns chunks of bytes into whole lines that are not empty."""

    def __init__(self, *, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._max_line_bytes = max_line_bytes
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Take the next bytes; give the lines that they complete.

        Raises:
            LineTooLong: a line exceeds the bound.
        """
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            self._keep(end)
            line, self._rest = bytes(self._rest).strip(), bytearray()
            if line:
                yield line
        self._keep(rest)

    def rest(self) -> bytes:
        """What came after the last line's end; a stream may leave out the very last one."""
        return bytes(self._rest).strip()

    def _keep(self, piece: bytes) -> None:
        if len(self._rest) + len(piece) > self._max_line_bytes:
            raise LineTooLong(f"a line of more than {exactly(self._max_line_bytes)}")
        self._rest += piece
