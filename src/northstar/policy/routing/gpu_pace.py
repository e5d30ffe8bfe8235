"""How fast classes of GPU are beside each other, as far as runs of the same work on both have shown."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: A pace beyond this, or below its inverse, says that two runs were not the same work, and not how fast a card is.
_MOST: Final = 100.0


class GpuPaces(msgspec.Struct, frozen=True):
    """Seconds that a run takes on a class of GPU (`domain.gpu_classes`) for each second that is expected of it; 1 where nobody knows.

    >>> GpuPaces({"l4": 2.0}).of("l4"), GpuPaces({"l4": 2.0}).of("h100")
    (2.0, 1.0)
    """

    factors: Mapping[str, float] = {}

    def of(self, gpu_class: str) -> float:
        """The pace of a class."""
        return self.factors.get(gpu_class, 1.0)

    def beside(self, gpu_class: str) -> GpuPaces:
        """The same, where times are told of this class of GPU.

        >>> GpuPaces({"l4": 2.0}).beside("l4")
        GpuPaces(factors={'l4': 1.0})
        """
        told = self.of(gpu_class)
        return self if told == 1.0 else GpuPaces({name: pace / told for name, pace in self.factors.items()})

    def with_times(self, run_s: Mapping[str, float], *, expected_s: float) -> GpuPaces:
        """The same, but for classes of which it is known how long this very work takes there.

        >>> GpuPaces({"l4": 2.0}).with_times({"h100": 5.0}, expected_s=10.0)
        GpuPaces(factors={'l4': 2.0, 'h100': 0.5})
        """
        own = {name: _bounded(seconds / expected_s) for name, seconds in run_s.items()}
        return GpuPaces({**self.factors, **own}) if own else self

    def moved_from(self, before: GpuPaces, *, by: float) -> bool:
        """Whether a class is faster or slower than it was, by more than such a part of the smaller pace.

        >>> GpuPaces({"l4": 2.0}).moved_from(GpuPaces({"l4": 1.9}), by=0.1), GpuPaces({"l4": 2.0}).moved_from(NO_PACES, by=0.1)
        (False, True)
        """
        pairs = ((self.of(name), before.of(name)) for name in {*self.factors, *before.factors})
        return any(max(pair) > (1 + by) * min(pair) for pair in pairs)

    def fastest(self, gpu_classes: Iterable[str]) -> float:
        """The pace of the fastest of these; 1 where there is none."""
        return min(map(self.of, gpu_classes), default=1.0) if self.factors else 1.0


NO_PACES: Final = GpuPaces()


def paces_of(ratios: Mapping[tuple[str, str], tuple[float, int]]) -> GpuPaces:
    """Paces from pairs of classes: the logarithm of how much longer the second takes than the first, and in how many runs that was seen.

    The class that was compared most is the one of pace 1; others are reached over the pairs that were seen most. What no pair
    connects with it stays unknown.

    >>> paces_of({("h100", "l4"): (math.log(4.0), 9), ("a100", "h100"): (-math.log(2.0), 3)})
    GpuPaces(factors={'h100': 1.0, 'l4': 4.0, 'a100': 2.0})
    """
    seen: dict[str, int] = {}
    for (one, two), (_, runs) in ratios.items():
        seen[one] = seen.get(one, 0) + runs
        seen[two] = seen.get(two, 0) + runs
    if not seen:
        return NO_PACES
    beside: dict[str, list[tuple[int, str, float]]] = {}
    for (one, two), (log_ratio, runs) in ratios.items():
        beside.setdefault(one, []).append((-runs, two, log_ratio))
        beside.setdefault(two, []).append((-runs, one, -log_ratio))
    first = min(seen, key=lambda name: (-seen[name], name))
    logs = {first: 0.0}
    reached = [first]
    for name in reached:  # grows while it is walked: the nearest first
        for _, other, log_ratio in sorted(beside[name]):
            if other not in logs:
                logs[other] = logs[name] + log_ratio
                reached.append(other)
    return GpuPaces({name: _bounded(math.exp(min(max(log, -20.0), 20.0))) for name, log in logs.items()})


def _bounded(pace: float) -> float:
    return min(max(pace, 1 / _MOST), _MOST)
