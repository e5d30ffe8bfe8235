"""Jobs of our own making."""

from __future__ import annotations

from collections.abc import Sequence

from northstar.domain.jobs import JobRequest
from northstar.simulation.inputs import SimulatedJob


def a_job(at_ms: int, user: str = "ada", *, run_s: float = 10.0) -> SimulatedJob:
    return SimulatedJob(at_ms=at_ms, request=JobRequest(service="pictures", user=user), run_s={"": run_s})


def told(jobs: Sequence[SimulatedJob]) -> list[tuple[int, str]]:
    return [(job.at_ms, job.request.user) for job in jobs]
