"""How assets are named: `CELL/HOUR/JOB/HASH/NAME`, every part of a strict alphabet, so that none leads out of the store.

The hour is that of writing, so the old can be found without looking at the young. The hash is of what was received and of its type, so
that whoever hears of an asset can tell from its address alone whether it is told the truth.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from typing import Final

import msgspec

from northstar.store.asset_errors import AssetNameRefused

HOUR_MS: Final = 3_600_000

_PART: Final = re.compile(r"\w[\w.,@ ()+=-]*")
_HOUR: Final = re.compile(r"\d{8}-\d{2}")
_HOUR_FORMAT: Final = "%Y%m%d-%H"
_MAX_PART_BYTES: Final = 200
_MAX_PARTS: Final = 8
#: Parts before the name.
_BEFORE_NAME: Final = 4


class AssetName(msgspec.Struct, frozen=True, kw_only=True):
    """What an asset's key says."""

    cell: str
    hour: str
    job: str
    #: As `mark_of` makes it.
    mark: str


def checked(part: str, *, what: str) -> str:
    """One part of a name. Raises AssetNameRefused."""
    if _PART.fullmatch(part) is None or part.endswith((" ", ".")) or len(part.encode()) > _MAX_PART_BYTES:
        raise AssetNameRefused(what=what, name=part)
    return part


def checked_name(name: str, *, more_parts: int = 0) -> str:
    """A name that may have folders. Raises AssetNameRefused."""
    parts = name.split("/")
    if len(parts) > _MAX_PARTS + more_parts:
        raise AssetNameRefused(what="the name", name=name)
    for part in parts:
        checked(part, what="the name")
    return name


def checked_key(key: str) -> str:
    """A whole key, as strict as when it was made. Raises AssetNameRefused."""
    return checked_name(key, more_parts=_BEFORE_NAME)


def mark_of(*, sha256: str, media_type: str) -> str:
    """What stands in a key for content and type: 64 hexadecimal digits, and nobody finds another pair that has the same.

    >>> mark_of(sha256="ab", media_type="image/png") == mark_of(sha256="ab", media_type="image/jpeg")
    False
    """
    return hashlib.sha256(msgspec.json.encode((sha256, media_type))).hexdigest()


def key_of(*, cell: str, job: str, name: str, sha256: str, media_type: str, at_ms: int) -> str:
    """The key of an asset; the parts have been checked."""
    return f"{cell}/{hour_of(at_ms)}/{job}/{mark_of(sha256=sha256, media_type=media_type)}/{name}"


def read_key(key: str) -> AssetName | None:
    """What a key says; None where it is none of ours."""
    parts = key.split("/")
    if len(parts) <= _BEFORE_NAME or _HOUR.fullmatch(parts[1]) is None:
        return None
    return AssetName(cell=parts[0], hour=parts[1], job=parts[2], mark=parts[3])


def hour_of(at_ms: int) -> str:
    """The hour of a time in ms since epoch, in UTC; hours sort as they pass."""
    return dt.datetime.fromtimestamp(at_ms / 1000, tz=dt.UTC).strftime(_HOUR_FORMAT)


def begin_ms(hour: str) -> int | None:
    """When an hour began, in ms since epoch; None if the text is no hour."""
    if _HOUR.fullmatch(hour) is None:
        return None
    try:
        return int(dt.datetime.strptime(hour, _HOUR_FORMAT).replace(tzinfo=dt.UTC).timestamp()) * 1000
    except ValueError:
        return None
