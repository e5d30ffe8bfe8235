"""Amounts and moments as people read them: things, bytes, memory and lengths of time, each with its unit. Programs get the plain numbers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB")
#: From here on a number of bytes is easier to read in a larger unit.
_LONG_BYTES: Final = 10_000
_MINUTE_S: Final = 60
_HOUR_S: Final = 3_600
_DAY_S: Final = 86_400


def size(size_bytes: int) -> str:
    """A size, rounded to what a person compares.

    >>> size(6_900_000_000), size(12_340), size(4)
    ('6.9 GB', '12.3 kB', '4 bytes')
    """
    unit = 0
    while size_bytes >= 1_000 ** (unit + 1) and unit < len(_UNITS) - 1:
        unit += 1
    return f"{size_bytes / 1_000**unit:.{1 if unit else 0}f} {_UNITS[unit]}"


def exactly(size_bytes: int) -> str:
    """A size to the byte, since what is one byte too large must not look equal to its limit; and about how much that is.

    >>> exactly(65_537), exactly(512), exactly(1)
    ('65,537 bytes (65.5 kB)', '512 bytes', '1 byte')
    """
    said = "1 byte" if size_bytes == 1 else f"{size_bytes:,} bytes"
    return f"{said} ({size(size_bytes)})" if size_bytes >= _LONG_BYTES else said


def memory(megabytes: int) -> str:
    """Memory that is counted in MB.

    >>> memory(24_000), memory(25_757), memory(800)
    ('24 GB', '25.8 GB', '800 MB')
    """
    if megabytes < 1_000:
        return f"{megabytes} MB"
    return f"{megabytes / 1_000:.1f}".removesuffix(".0") + " GB"


def length(milliseconds: float) -> str:
    """A length of time in its handiest unit.

    >>> [length(ms) for ms in (250, 1_500, 90_000, 900_000, 43_200_000, 7_776_000_000)]
    ['0.25 s', '1.5 s', '90 s', '15 min', '12 h', '90 d']
    """
    seconds = milliseconds / 1_000
    for unit_s, unit in ((_DAY_S, "d"), (_HOUR_S, "h"), (_MINUTE_S, "min")):
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:.3g} {unit}"
    return f"{seconds:.3g} s"


def counted(count: int, thing: str) -> str:
    """A number of things.

    >>> counted(1, "job"), counted(0, "job")
    ('1 job', '0 jobs')
    """
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def span(length_ms: int) -> str:
    """How long something has lasted, in its handiest unit.

    >>> span(90_000), span(400), span(7_300_000)
    ('90 s', '0.4 s', '2.0 h')
    """
    seconds = max(0, length_ms) / 1000
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3_600:.1f} h"


def moment(at_ms: int) -> str:
    """A time of the cell's clock, UTC.

    >>> moment(1_700_000_000_123), moment(0)
    ('2023-11-14 22:13:20+00:00', '-')
    """
    return "-" if at_ms <= 0 else datetime.fromtimestamp(at_ms / 1000, tz=UTC).isoformat(sep=" ", timespec="seconds")
