"""Where the decision matrix would have a job, had it known how long the job takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from northstar.domain.estimates import DurationEstimate
from northstar.domain.job_profiles import JobProfile
from northstar.policy.models.workload_memory import WorkloadMemory
from northstar.policy.routing.decision_matrix import choose_pool

if TYPE_CHECKING:
    from northstar.domain.pools import Pools
    from northstar.domain.tenancy import Tenants
    from northstar.simulation.inputs import SimulatedJob

#: How far the borders of duration are moved where a pool counts with tolerance.
TOLERANCE: Final = 0.25


class TruePools:
    """By the pools and the agreements of a simulation."""

    def __init__(self, pools: Pools, tenants: Tenants) -> None:
        self._pools = pools
        self._tenants = tenants
        self._read = WorkloadMemory()
        self._gpus = sorted({spec.compute.reference_gpu for spec in pools.pools.values()} | {""})

    def of(self, job: SimulatedJob, *, number: int) -> tuple[str, tuple[str, ...]]:
        """The pool for what it really takes on the GPU by which pools count, and those for up to a quarter more or less at the borders.

        Raises PoolRefusesJob, NoPoolTakesJob: no pool has such work, so that it cannot have run.
        """
        borders = (1 / (1 - TOLERANCE), 1 / (1 + TOLERANCE))
        return self._pool(job, number, 1.0), tuple({self._pool(job, number, factor): None for factor in borders})

    def _pool(self, job: SimulatedJob, number: int, factor: float) -> str:
        request = job.request
        first, *others = (_known(self._seconds(job, gpu) * factor, gpu) for gpu in self._gpus)
        sizes = [need.size_bytes for need in request.requires.models]
        profile = JobProfile(
            key=f"j{number}",
            workload=self._read.workload_of(request.service, request.payload),
            estimate=first,
            estimates=tuple(others),
            terms=self._tenants.terms(request.tenant),
            pool=request.pool,
            speciality=request.speciality,
            largest_model_bytes=max(sizes, default=0),
            models_bytes=sum(sizes),
            vram_mb=request.requires.vram_mb,
        )
        return choose_pool(profile, self._pools).pool

    def _seconds(self, job: SimulatedJob, gpu: str) -> float:
        """On that GPU; of classes that the workload does not tell, what it tells first."""
        found = job.run_s.get(gpu, job.run_s.get(""))
        return next(iter(job.run_s.values())) if found is None else found


def _known(seconds: float, gpu: str) -> DurationEstimate:
    return DurationEstimate(p10_s=seconds, p50_s=seconds, p90_s=seconds, source="shape", confidence=1.0, gpu_class=gpu)
