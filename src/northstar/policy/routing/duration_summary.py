"""What an estimator has learned, short enough to be handed to whoever cannot read the runs themselves."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

import msgspec

from northstar.domain.estimates import EstimateSource

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Of what the fields below mean; a reader of another version reads nothing.
VERSION: Final = 1
#: Keys and ratios that a summary may hold, whatever room there is.
MOST_KEYS: Final = 4_000
MOST_RATIOS: Final = 256
#: As long as a summary may become when it is unpacked, bytes: several times what fits into a document.
_MOST_UNPACKED: Final = 4 * 1024 * 1024
_DIGITS: Final = 4


class Said(msgspec.Struct, frozen=True, array_like=True):
    """`duration_levels.Seen` without who said it."""

    weight: float
    mean: float
    runs: int
    work_mean: float = 0.0
    work_square: float = 0.0
    work_product: float = 0.0


class Errors(msgspec.Struct, frozen=True, array_like=True):
    """`duration_spread.Spread`."""

    low: float
    high: float
    near: float
    runs: int


class Learned(msgspec.Struct, frozen=True, kw_only=True):
    """The state of an estimator; of keys those that matter to most jobs come first."""

    version: int = VERSION
    keys: tuple[tuple[tuple[str, ...], dict[str, Said]], ...] = ()
    ratios: tuple[tuple[str, str, Said], ...] = ()
    errors: dict[EstimateSource, Errors] = {}
    #: The place in the cell's history up to which its runs are in this; empty: not known.
    after: str = ""


class _Version(msgspec.Struct, frozen=True):
    version: int


def said(weight: float, mean: float, runs: int, *work: float) -> Said:
    """Rounded to what a summary keeps."""
    return Said(round(weight, _DIGITS), round(mean, _DIGITS), runs, *(round(value, _DIGITS) for value in work))


def pack(learned: Learned, *, most_bytes: int) -> bytes:
    """As many of its keys, from the first, as fit into so many bytes, compressed; takes some milliseconds.

    Raises:
        ValueError: not even a summary without keys fits.
    """
    whole = _packed(learned, keys=learned.keys)
    if len(whole) <= most_bytes:
        return whole
    fits, too_many, found = 0, len(learned.keys), _packed(learned, keys=())
    if len(found) > most_bytes:
        raise ValueError(f"{len(found)} bytes without any key, for at most {most_bytes}")
    while too_many - fits > 1:
        count = (fits + too_many) // 2
        tried = _packed(learned, keys=learned.keys[:count])
        if len(tried) <= most_bytes:
            fits, found = count, tried
        else:
            too_many = count
    return found


def unpack(packed: bytes) -> Learned | None:
    """What was packed; None for what another version wrote, or what is no summary."""
    try:
        stream = zlib.decompressobj()
        text = stream.decompress(packed, _MOST_UNPACKED)
        if stream.unconsumed_tail or not stream.eof or msgspec.json.decode(text, type=_Version).version != VERSION:
            return None
        return msgspec.json.decode(text, type=Learned)
    except (zlib.error, msgspec.MsgspecError):
        return None


def _packed(learned: Learned, *, keys: Sequence[tuple[tuple[str, ...], dict[str, Said]]]) -> bytes:
    return zlib.compress(msgspec.json.encode(msgspec.structs.replace(learned, keys=tuple(keys))), 6)
