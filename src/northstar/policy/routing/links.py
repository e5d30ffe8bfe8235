"""How fast a machine's link counts: in steps, so that machines whose links are measured a little apart are alike."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Used while no machine's link is measured: 50 MB/s, a common consumer line.
ASSUMED_BYTES_PER_S: Final = 50_000_000.0
#: The fastest link that is believed, 10 Gbit/s: a machine says itself how fast its link is, and nobody shall come first by a boast.
BELIEVED_BYTES_PER_S: Final = 1_250_000_000.0
_STEPS_PER_OCTAVE: Final = 2
#: In the middle of a class: lines are sold by the gigabit, and what is measured of one is a little less or, where two fetches share it, more.
_MIDDLE_BYTES_PER_S: Final = 125_000_000.0
#: Measured rates whose step is remembered; more than machines measure anew between two plans.
_MOST_KEPT: Final = 16_384


@lru_cache(maxsize=_MOST_KEPT)
def link_class(bytes_per_s: float) -> int:
    """Links that count alike: two classes for each doubling of the rate. A rate that was not measured is assumed, a boast cut."""
    believed = min(bytes_per_s or ASSUMED_BYTES_PER_S, BELIEVED_BYTES_PER_S)
    return round(math.log2(max(1.0, believed) / _MIDDLE_BYTES_PER_S) * _STEPS_PER_OCTAVE)


def link_rate(link: int) -> float:
    """Bytes per second that count for all links of a class: those of its middle.

    >>> [round(link_rate(link_class(rate)) / 1e6) for rate in (125e6, 106e6, 147e6, 104e6)], link_class(0.0) == link_class(ASSUMED_BYTES_PER_S)
    ([125, 125, 125, 88], True)
    """
    return float(_MIDDLE_BYTES_PER_S * 2.0 ** (link / _STEPS_PER_OCTAVE))


@lru_cache(maxsize=_MOST_KEPT)
def counted_rate(bytes_per_s: float) -> float:
    """Bytes per second that count where so many were measured: those of the middle of the class.

    >>> counted_rate(125e6) == counted_rate(110e6) == link_rate(link_class(110e6))
    True
    """
    return link_rate(link_class(bytes_per_s))


def usual_rate(measured: Iterable[float]) -> float:
    """What a link is taken for that was not measured: the median of the others, as it counts; 0 where none was measured.

    A machine that has fetched nothing yet has, most often, the emptiest disk. Were its link taken for slower than it is, the first machines
    to be measured would go on fetching everything.

    >>> usual_rate([124e6, 118e6, 0.0, 1e9]), usual_rate([0.0])
    (125000000.0, 0.0)
    """
    rates = sorted(rate for rate in measured if rate > 0)
    return counted_rate(rates[(len(rates) - 1) // 2]) if rates else 0.0
