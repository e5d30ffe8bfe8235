"""Days of the service and windows of them. A day begins at 12:00 of the trace's clock, the dead hour, so that no evening is cut in two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from northstar.simulation.inputs import SimulatedJob

DAY_MS: Final = 86_400_000
#: Of the clock's midnight.
DAY_BEGINS_MS: Final = 43_200_000


def begin_of_day(at_ms: int) -> int:
    """When the service day of a moment began; both are of the trace's clock, ms since 1970.

    >>> begin_of_day(43_200_000), begin_of_day(43_199_999)
    (43200000, -43200000)
    """
    return (at_ms - DAY_BEGINS_MS) // DAY_MS * DAY_MS + DAY_BEGINS_MS


class Window(msgspec.Struct, frozen=True):
    """A stretch of a simulation, ms from its beginning; `until_ms` is left out itself."""

    from_ms: int
    until_ms: int

    def holds(self, at_ms: int) -> bool:
        """Whether a moment is in it."""
        return self.from_ms <= at_ms < self.until_ms

    def faster(self, factor: float) -> Window:
        """The same window of a workload whose time was compressed so many times (`scaling.compressed`)."""
        return Window(round(self.from_ms / factor), round(self.until_ms / factor))


def whole_days(last_at_ms: int) -> int:
    """How many service days a workload has that begins with one and whose last job comes then; the last may be cut off.

    >>> whole_days(0), whole_days(86_399_999), whole_days(86_400_000)
    (1, 1, 2)
    """
    return last_at_ms // DAY_MS + 1


def last_days(last_at_ms: int, count: int = 5) -> Window:
    """The last `count` service days of a workload that begins with a service day; what is before them warms the fleet up.

    Raises:
        ValueError: it has not so many days.
    """
    days = whole_days(last_at_ms)
    if not 1 <= count <= days:
        raise ValueError(f"the workload has {days} service days, of which the last {count} cannot be taken")
    return Window((days - count) * DAY_MS, days * DAY_MS)


def days_of(first: int, count: int) -> Window:
    """`count` service days from the day `first` on, which is 0 for the first.

    Raises:
        ValueError: there is no such window.
    """
    if first < 0 or count < 1:
        raise ValueError("a window begins with day 0 or later, and has one day or more")
    return Window(first * DAY_MS, (first + count) * DAY_MS)


def cut(jobs: Iterable[SimulatedJob], window: Window) -> Iterator[SimulatedJob]:
    """The jobs of a window, as if the simulation began with it. `jobs` are in the order of their times."""
    for job in jobs:
        if job.at_ms >= window.until_ms:
            return
        if job.at_ms >= window.from_ms:
            yield msgspec.structs.replace(job, at_ms=job.at_ms - window.from_ms)
