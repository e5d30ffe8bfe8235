"""A cell in bounded pieces, one after the other: how a copy of it is written down, whatever server it came from.

A piece is its length in four bytes, the first the highest, and then a msgpack array: the part of the cell, and a flat list of what is in
it. Of a hash: field, value; of a sorted set: member, score as text; of a stream: id, and the packed fields of the entry.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

import msgspec

from northstar.store.keys import KEY_KINDS

#: Of a piece, what no writer exceeds: the largest value of a cell and much beside it.
MAX_FRAME_BYTES: Final = 256 * 1024 * 1024
#: What a writer aims at.
FRAME_BYTES: Final = 4 * 1024 * 1024
#: Entries of one piece.
FRAME_ENTRIES: Final = 1_000
#: The part of a piece that says where a stream stands: its latest id, how many entries it ever had, the latest id that was removed.
STREAM_STATE: Final = "events/state"
_LENGTH_BYTES: Final = 4


class Frame(msgspec.Struct, frozen=True, array_like=True):
    """A piece: entries of one part of a cell."""

    part: str
    items: list[bytes]


class FrameDamaged(ValueError):
    """These bytes are no piece of a cell."""


class Readable(Protocol):
    """What gives bytes."""

    def read(self, size: int, /) -> bytes:
        """At most so many; none at the end."""
        ...


def encoded(frame: Frame) -> bytes:
    """The piece as it is written."""
    packed = msgspec.msgpack.encode(frame)
    if len(packed) > MAX_FRAME_BYTES:
        raise FrameDamaged(f"a value of {frame.part} has {len(packed)} bytes")
    return len(packed).to_bytes(_LENGTH_BYTES, "big") + packed


def read_frames(stream: Readable) -> Iterator[Frame]:
    """All pieces of a stream, in order. Raises FrameDamaged."""
    decoder = msgspec.msgpack.Decoder(Frame)
    while head := _exactly(stream, _LENGTH_BYTES, may_end=True):
        length = int.from_bytes(head, "big")
        if length > MAX_FRAME_BYTES:
            raise FrameDamaged(f"a piece of {length} bytes")
        try:
            frame = decoder.decode(_exactly(stream, length))
        except msgspec.MsgspecError as exc:
            raise FrameDamaged(str(exc)) from exc
        _check(frame)
        yield frame


def split(part: str, items: list[bytes]) -> Iterator[Frame]:
    """The entries, two items each, in pieces of bounded size."""
    first, held = 0, 0
    for at in range(0, len(items), 2):
        held += len(items[at]) + len(items[at + 1])
        if held >= FRAME_BYTES or at + 2 - first >= 2 * FRAME_ENTRIES:
            yield Frame(part, items[first : at + 2])
            first, held = at + 2, 0
    if first < len(items):
        yield Frame(part, items[first:])


def _check(frame: Frame) -> None:
    if frame.part == STREAM_STATE:
        is_right = len(frame.items) == 3
    else:
        is_right = frame.part in KEY_KINDS and len(frame.items) % 2 == 0 and bool(frame.items)
    if not is_right:
        raise FrameDamaged(f"a piece of {frame.part[:64]!r} with {len(frame.items)} items")


def _exactly(stream: Readable, length: int, *, may_end: bool = False) -> bytes:
    found = bytearray()
    while len(found) < length:
        more = stream.read(length - len(found))
        if not more:
            if may_end and not found:
                return b""
            raise FrameDamaged("it breaks off in the middle of a piece")
        found += more
    return bytes(found)
