"""How fast a machine's line is taken to be: assumed at first, then measured with each file that comes, and smoothed."""

from __future__ import annotations

from typing import Final

#: Assumed before anything was measured, as the broker's policy does.
ASSUMED_BYTES_PER_S: Final = 50_000_000.0
#: How much a new measurement counts beside what was measured before.
_SMOOTHING: Final = 0.3
#: Smaller files say more about the way to the source than about the line.
_TELLING_BYTES: Final = 1_000_000


def learned(known: float, seen: float, *, size_bytes: int) -> float:
    """Bytes a second, after a file of this size came at `seen`; `known` is what it was before, 0 where nothing was measured.

    >>> learned(0.0, 80e6, size_bytes=2_000_000), learned(100e6, 50e6, size_bytes=2_000_000), learned(100e6, 1e3, size_bytes=900)
    (80000000.0, 85000000.0, 100000000.0)
    """
    if size_bytes < _TELLING_BYTES or seen <= 0:
        return known
    return seen if known == 0 else known + _SMOOTHING * (seen - known)
