"""What a router must be told of how long work takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from northstar.domain.estimates import DurationEstimate
    from northstar.policy.routing.duration import JobToTime
    from northstar.policy.routing.gpu_pace import GpuPaces


class Estimates(Protocol):
    """Says how long work takes."""

    def estimate(self, job: JobToTime) -> DurationEstimate:
        """Seconds of the work itself on the job's class of GPU; empty: on none in particular."""
        ...

    def run_times(self, job: JobToTime, gpu_classes: Iterable[str]) -> Mapping[str, float]:
        """Seconds of the work by class of GPU; nothing of classes for which runs do not say it of this very work."""
        ...

    def paces(self) -> GpuPaces:
        """How fast classes of GPU are beside each other."""
        ...
