"""Regions with clocks of their own: people there wake, work and sleep so many hours later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from northstar.domain.requirements import Region
from northstar.simulation.workload.mixing import mixed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from northstar.simulation.inputs import SimulatedJob

_HOUR_MS: Final = 3_600_000


class RegionClock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A region. `hours_later` is how much later its day is than the workload's own, 0 to below 24."""

    region: Region
    hours_later: Annotated[float, msgspec.Meta(ge=0, lt=24)] = 0.0
    #: Its jobs may run only there: for data that must not leave. Else they only come from there.
    stays: bool = True


def across_regions(
    regions: Sequence[RegionClock], workload_of: Callable[[RegionClock], Iterator[SimulatedJob]]
) -> Iterator[SimulatedJob]:
    """The workloads of all regions as one, each by its own clock. `workload_of` makes that of a region, with a seed of its own.

    Users are named for their region, for two regions' users of one name are not one person.
    """
    return mixed([_there(clock, workload_of(clock)) for clock in regions])


def _there(clock: RegionClock, jobs: Iterator[SimulatedJob]) -> Iterator[SimulatedJob]:
    later_ms = round(clock.hours_later * _HOUR_MS)
    for job in jobs:
        request = job.request
        if request.user:
            request = msgspec.structs.replace(request, user=f"{request.user}@{clock.region}")
        if clock.stays:
            requires = msgspec.structs.replace(request.requires, regions=(clock.region,))
            request = msgspec.structs.replace(request, requires=requires)
        yield msgspec.structs.replace(job, at_ms=job.at_ms + later_ms, request=request)
