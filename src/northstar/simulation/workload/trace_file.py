"""The text of a trace, plain or packed by gzip, a line at a time."""

from __future__ import annotations

import gzip
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from northstar.simulation.workload.errors import TraceTooLarge, TraceUnreadable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader

#: Letters of one line. The longest of the traces known to us has a few thousand.
MAX_LINE: Final = 1_000_000
#: Bytes of a trace that is one JSON document, unpacked.
MAX_DOCUMENT_BYTES: Final = 64_000_000
_GZIP: Final = b"\x1f\x8b"
_PIECE: Final = 1 << 20


def lines_of(path: Path) -> Iterator[str]:
    """The lines with their ends, one at a time; `.gz` is told by its first bytes.

    Raises:
        TraceUnreadable: there is no such file, it cannot be unpacked, or it is not UTF-8.
        TraceTooLarge: a line is longer than `MAX_LINE`.
    """
    number = 0
    with _opened(path) as file:
        # Bytes, so that no more than one line is ever held; letters beyond ASCII take several.
        while line := file.readline(MAX_LINE + 1):
            number += 1
            if len(line) > MAX_LINE:
                raise TraceTooLarge(path, line=number, limit=f"{MAX_LINE:,} bytes")
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as exc:
                raise TraceUnreadable(path, reason=f"line {number} is not UTF-8 ({exc.reason})") from exc
            yield text


def document_of(path: Path) -> bytes:
    """The whole of a trace that is one document.

    Raises:
        TraceUnreadable: there is no such file, or it cannot be unpacked.
        TraceTooLarge: it is longer than `MAX_DOCUMENT_BYTES`.
    """
    found = bytearray()
    with _opened(path) as file:
        while piece := file.read(_PIECE):
            found += piece
            if len(found) > MAX_DOCUMENT_BYTES:
                raise TraceTooLarge(path, line=1, limit=f"{MAX_DOCUMENT_BYTES:,} bytes")
    return bytes(found)


@contextmanager
def _opened(path: Path) -> Iterator[BufferedReader | gzip.GzipFile]:
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == _GZIP
        with gzip.open(path, "rb") if packed else path.open("rb") as file:
            yield file
    except OSError as exc:  # gzip says of bad bytes what systems say of bad disks
        raise TraceUnreadable(path, reason=exc.strerror or str(exc)) from exc
    except (EOFError, zlib.error) as exc:
        raise TraceUnreadable(path, reason=f"it ends in the middle, or is damaged ({exc})") from exc
