"""Whether a result is what was asked for: a PNG is decoded to its last pixel, a text has words, a simulated answer names its job."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import ClassVar, Final

from northstar.domain.errors import NorthstarError

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_MAX_PIXELS_BYTES: Final = 256 * 1024 * 1024
_FEWEST_COLOURS: Final = 64


class ResultRefused(NorthstarError):
    """A result is not what was asked for."""

    code: ClassVar[str] = "NS_DEMO_RESULT_REFUSED"

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} did not pass the inspection: {reason}")
        self.name = name


def inspect_picture(data: bytes, *, name: str, width: int, height: int) -> str:
    """Decode a PNG of 8-bit RGB and describe it.

    Raises:
        ResultRefused: a checksum, its size or its pixels are wrong, or it is all but empty.
    """
    try:
        pixels = _pixels(data, width=width, height=height)
    except struct.error as exc:
        raise ResultRefused(name, "it is cut off") from exc
    except (ValueError, zlib.error) as exc:
        raise ResultRefused(name, str(exc)) from exc
    colours = len({pixels[at : at + 3] for at in range(0, len(pixels) - 3, 3 * 17)})
    if colours < _FEWEST_COLOURS:
        raise ResultRefused(name, f"it has only {colours} colours")
    return f"{width} × {height} PNG, {len(data) // 1024} KiB"


def inspect_text(text: str, *, name: str) -> str:
    """Describe a text. Raises ResultRefused if it has hardly any words."""
    words = len(text.split())
    if words < 10:
        raise ResultRefused(name, f"it has only {words} words")
    return f"{words} words"


def inspect_simulated(text: str, *, job: str, takes_s: float) -> str:
    """Describe the answer of a simulated machine. Raises ResultRefused if it is not the one to this job."""
    if f" {job} ran " not in text:
        raise ResultRefused(job, "it is no answer of a simulated machine to this job")
    return f"simulated: {takes_s:g} s in time lapse"


def _pixels(data: bytes, *, width: int, height: int) -> bytes:
    if not data.startswith(_SIGNATURE):
        raise ValueError("it does not begin as a PNG does")
    chunks = list(_chunks(data))
    if chunks[0][0] != b"IHDR" or chunks[-1][0] != b"IEND":
        raise ValueError("it is cut off")
    shape = struct.unpack(">IIBBBBB", chunks[0][1])
    if shape != (width, height, 8, 2, 0, 0, 0):
        raise ValueError(f"it is {shape[0]} × {shape[1]}, not {width} × {height} of 8-bit RGB")
    packed = b"".join(body for kind, body in chunks if kind == b"IDAT")
    rows = zlib.decompressobj().decompress(packed, _MAX_PIXELS_BYTES)
    if len(rows) != height * (1 + 3 * width):
        raise ValueError(f"its pixels have {len(rows)} bytes, not {height * (1 + 3 * width)}")
    return rows


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_SIGNATURE)
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        (checksum,) = struct.unpack_from(">I", data, at + 8 + length)
        if checksum != zlib.crc32(kind + body):
            raise ValueError(f"the checksum of its part {kind!r} is wrong")
        yield kind, body
        at += 12 + length
