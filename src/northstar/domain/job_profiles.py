"""What the decision matrix knows of a job: what it is made of, how long it may take, whose it is, and what was asked for."""

from __future__ import annotations

from typing import Annotated

import msgspec

from northstar.domain.estimates import DurationEstimate
from northstar.domain.requirements import Pool
from northstar.domain.tenancy import NO_TERMS, TenantTerms
from northstar.domain.workloads import Speciality, Workload

_Bytes = Annotated[int, msgspec.Meta(ge=0, le=10**15)]


class JobProfile(msgspec.Struct, frozen=True, kw_only=True):
    """A job before its pool is chosen. Zero is "not known"."""

    #: Its id, or whatever else stays the same when it is submitted again: decides whether a pool is in use for it already.
    key: str
    workload: Workload
    #: On the GPU that `estimate.gpu_class` names.
    estimate: DurationEstimate
    #: Estimates for further classes of GPU, where they are known.
    estimates: tuple[DurationEstimate, ...] = ()
    terms: TenantTerms = NO_TERMS
    #: The pool that its submitter asks for.
    pool: Pool | None = None
    #: What its submitter says that it is; goes before what the payload says.
    speciality: Speciality | None = None
    #: Bytes of its largest model file, and of all of them together.
    largest_model_bytes: _Bytes = 0
    models_bytes: _Bytes = 0
    #: Memory of a GPU that it needs, MB.
    vram_mb: Annotated[int, msgspec.Meta(ge=0, le=10_000_000)] = 0

    def estimate_for(self, gpu_class: str) -> DurationEstimate:
        """The estimate for a class of GPU; where there is none, the one that there is."""
        if not gpu_class or self.estimate.gpu_class == gpu_class or not self.estimates:
            return self.estimate
        return next((one for one in self.estimates if one.gpu_class == gpu_class), self.estimate)

    @property
    def wanted_speciality(self) -> Speciality | None:
        """What its submitter says, else what its payload says."""
        return self.speciality or self.workload.speciality
