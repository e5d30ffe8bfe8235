"""Writes PNG files with nothing but the standard library."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from typing import Final

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_TRUE_COLOUR: Final = 2
_KEEP_AS_IS: Final = b"\0"  # the filter type that stands before each row


def png(rows: Iterable[bytes], *, width: int, height: int, description: str = "") -> bytes:
    """A PNG of `height` rows of `width` RGB pixels, three bytes each.

    Raises:
        ValueError: the rows do not have that shape.
    """
    packer = zlib.compressobj(6)
    packed = bytearray()
    seen = 0
    for row in rows:
        if len(row) != 3 * width:
            raise ValueError(f"row {seen} has {len(row)} bytes instead of {3 * width}")
        packed += packer.compress(_KEEP_AS_IS + row)
        seen += 1
    if seen != height:
        raise ValueError(f"{seen} rows instead of {height}")
    packed += packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, _TRUE_COLOUR, 0, 0, 0)
    words = b"Description\0\0\0\0\0" + description.encode()
    return b"".join(
        (
            _SIGNATURE,
            _chunk(b"IHDR", header),
            _chunk(b"iTXt", words),
            _chunk(b"IDAT", bytes(packed)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
