"""What a simulation cannot go on with."""

from __future__ import annotations

from typing import ClassVar

from northstar.domain.errors import InvalidRequest


class WorkloadUnsorted(InvalidRequest):
    """A job of the workload comes before the one that was read before it."""

    code: ClassVar[str] = "NS_WORKLOAD_UNSORTED"

    def __init__(self, number: int, *, at_ms: int, before_ms: int) -> None:
        super().__init__(
            f"job {number} of the workload comes at {at_ms} ms, after one that comes at {before_ms} ms: sort the jobs by their time"
        )
        self.number = number


class FleetInvalid(InvalidRequest):
    """The machines of a simulation cannot be."""

    code: ClassVar[str] = "NS_FLEET_INVALID"

    def __init__(self, machine: str, reason: str) -> None:
        super().__init__(f"machine {machine!r} of the simulated fleet {reason}; correct the fleet")
        self.machine = machine
