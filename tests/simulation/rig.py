"""Small fleets and workloads whose outcomes can be reckoned by hand: 1 GB comes in 0.5 + 8 s and loads in 0.625 s."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from northstar.domain.jobs import JobRequest
from northstar.domain.models import ModelKind, ModelNeed
from northstar.domain.requirements import Requirements
from northstar.simulation.inputs import AnyFault, Life, SimulatedJob, SimulatedMachine
from northstar.simulation.outcome import JobOutcome
from northstar.simulation.policy import NorthStar
from northstar.simulation.scaling import ScaledGroup
from northstar.simulation.settings import SimulationSettings
from northstar.simulation.simulate import Simulated, run

GB = 1_000_000_000
#: Of one file of 1 GB on a machine of this rig, ms.
FETCH_MS = 8_500
LOAD_MS = 625


def model(name: str, *, gb: float = 1.0, kind: ModelKind = "checkpoint") -> ModelNeed:
    """A model that can be had."""
    source = f"https://models.example/{name}"
    return ModelNeed(name=name, kind=kind, size_bytes=int(gb * GB), sources=(source,), sha256="unknown")


def job(at_s: float, *needs: ModelNeed, run_s: float = 10.0, fails: bool = False, **request: Any) -> SimulatedJob:
    """A picture that takes so long on any GPU."""
    wanted = JobRequest(service="picture", requires=Requirements(models=needs), **request)
    return SimulatedJob(at_ms=round(at_s * 1000), request=wanted, run_s={"": run_s}, fails=fails)


def machine(name: str, **others: Any) -> SimulatedMachine:
    """One that serves pictures, whatever the pool they are for."""
    fields: dict[str, Any] = {"pools": ("lightning", "fast-lane", "standard", "heavy"), "told_bytes_per_s": 125e6}
    return SimulatedMachine(id=name, services=("picture",), **fields | others)


def life(from_s: float = 0.0, until_s: float | None = None, **fields: Any) -> Life:
    """A life by its seconds."""
    return Life(from_ms=round(from_s * 1000), until_ms=None if until_s is None else round(until_s * 1000), **fields)


async def simulated(
    jobs: Iterable[SimulatedJob],
    fleet: Sequence[SimulatedMachine],
    *,
    settings: SimulationSettings | None = None,
    faults: Sequence[AnyFault] = (),
    scaling: Sequence[ScaledGroup] = (),
    seed: int = 0,
) -> Simulated:
    """The fleet under North Star, within the time that a test may take."""
    async with asyncio.timeout(60):
        return await run(jobs, fleet, NorthStar(), settings, faults=faults, scaling=scaling, seed=seed)


def in_order(found: Simulated) -> list[JobOutcome]:
    """Its jobs in the order in which they were submitted."""
    return sorted(found.outcome.jobs, key=lambda one: one.number)
