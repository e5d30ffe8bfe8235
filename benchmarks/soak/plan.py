"""What one soak is made of."""

from __future__ import annotations

from typing import Any

import msgspec

from northstar.domain.jobs import JobRequest, RetryRule

SERVICE = "count"
#: Machines are lost all day here; that must not count as the jobs' own fault.
_PATIENT = RetryRule(max_recoveries=1_000)
_FILE_BYTES = 40_000


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Times in seconds."""

    jobs: int = 10_000
    #: Jobs come in at random over so long; 0: all at once.
    over_s: float = 0.0
    hosts: int = 10
    machines_each: int = 5
    #: Mean time between two kills.
    kill_every_s: float = 4.0
    #: Half of the jobs run no longer.
    median_s: float = 0.4
    #: One job in so many leaves a file.
    one_file_in: int = 20
    seed: int = 1


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a host is told: the broker, a folder of its own, its machines with their tokens."""

    broker: str
    folder: str
    machines: dict[str, str]
    median_s: float


def request(plan: Plan, number: int) -> JobRequest:
    """Job `number`, of 0 to `plan.jobs` - 1."""
    payload: dict[str, Any] = {"number": number}
    if number % plan.one_file_in == 0:
        payload["simulate"] = {"output_bytes": _FILE_BYTES}
    return JobRequest(service=SERVICE, id=f"job-{number}", payload=payload, retry=_PATIENT)
