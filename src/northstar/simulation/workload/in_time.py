"""Jobs of sittings that overlap, in the order of their times."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from northstar.simulation.inputs import SimulatedJob
    from northstar.simulation.workload.sittings import Sitting

_S = TypeVar("_S", bound="Sitting")


def in_time(sittings: Iterable[_S], jobs_of: Callable[[_S], Iterable[SimulatedJob]]) -> Iterator[SimulatedJob]:
    """The jobs of all sittings. Those of sittings that have begun and not ended are held in memory."""
    waiting: list[tuple[int, int, SimulatedJob]] = []
    number = 0
    for sitting in sittings:
        while waiting and waiting[0][0] <= sitting.at_ms[0]:
            yield heapq.heappop(waiting)[2]
        for job in jobs_of(sitting):
            heapq.heappush(waiting, (job.at_ms, number, job))
            number += 1
    while waiting:
        yield heapq.heappop(waiting)[2]
