"""How fast a machine's link counts: in steps, so that machines whose links are measured a little apart are alike."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

#: Used while a machine's link is not measured: 50 MB/s, a common consumer line.
ASSUMED_BYTES_PER_S: Final = 50_000_000.0
#: The fastest link that is believed, 10 Gbit/s: a machine says itself how fast its link is, and nobody shall come first by a boast.
BELIEVED_BYTES_PER_S: Final = 1_250_000_000.0
_STEPS_PER_OCTAVE: Final = 2
#: Measured rates whose step is remembered; more than machines measure anew between two plans.
_MOST_KEPT: Final = 16_384


def link_class(bytes_per_s: float) -> int:
    """Links that count alike: two classes for each doubling of the rate. A rate that was not measured is assumed, a boast cut."""
    believed = min(bytes_per_s or ASSUMED_BYTES_PER_S, BELIEVED_BYTES_PER_S)
    return math.floor(math.log2(max(1.0, believed)) * _STEPS_PER_OCTAVE)


def link_rate(link: int) -> float:
    """Bytes per second that the slowest link of a class carries.

    >>> round(link_rate(link_class(125_000_000.0)) / 1e6), link_class(0.0) == link_class(ASSUMED_BYTES_PER_S)
    (95, True)
    """
    return float(2.0 ** (link / _STEPS_PER_OCTAVE))


@lru_cache(maxsize=_MOST_KEPT)
def counted_rate(bytes_per_s: float) -> float:
    """Bytes per second that count where so many were measured: those of the slowest link of the class.

    >>> counted_rate(125e6) == counted_rate(100e6) == link_rate(link_class(100e6))
    True
    """
    return link_rate(link_class(bytes_per_s))
