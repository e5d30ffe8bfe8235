"""Pools: groups of machines for one kind of work, and what each of them promises, takes and refuses.

The six pools of the specification and the specialities of Standard are data that an operator can edit (`pools.toml`). Sizes of files and
disks are decimal GB, memory of GPUs decimal MB, times seconds on the pool's reference GPU.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from northstar.domain.models import ModelName
from northstar.domain.requirements import Pool
from northstar.domain.workloads import Modality, Speciality

#: Where a job waits that pools do not apply to: any machine that is not kept for others may take it.
UNIFORM: Final = "uniform"
LIGHTNING: Final = "lightning"
FAST_LANE: Final = "fast-lane"
STANDARD: Final = "standard"
HEAVY: Final = "heavy"
RESEARCH: Final = "research"
ENTERPRISE: Final = "enterprise"
#: The pools to which the decision matrix routes; a file of pools must have them all.
SIX_POOLS: Final = (LIGHTNING, FAST_LANE, STANDARD, HEAVY, RESEARCH, ENTERPRISE)

_Seconds = Annotated[float, msgspec.Meta(ge=0, le=30 * 86_400)]
_Gb = Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]
_Mb = Annotated[int, msgspec.Meta(ge=0, le=10_000_000)]
_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
_Text = Annotated[str, msgspec.Meta(max_length=400)]
_GpuClass = Annotated[str, msgspec.Meta(max_length=64, pattern=r"^([a-z0-9][a-z0-9.-]*)?$")]
_Variable = Annotated[str, msgspec.Meta(max_length=128, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
_Value = Annotated[str, msgspec.Meta(max_length=4_096, pattern=r"^[^\x00]*$")]
_Folder = Annotated[
    str, msgspec.Meta(max_length=200, pattern=r"^([A-Za-z0-9][A-Za-z0-9_-]*(/[A-Za-z0-9][A-Za-z0-9_-]*)*)?$")
]


class DurationBand(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long the pool's work takes: from `from_s` to below `below_s`; 0 there is no bound."""

    from_s: _Seconds = 0.0
    below_s: _Seconds = 0.0
    #: The band is what the pool is planned for, and no reason to refuse (spec, "Variable").
    variable: bool = False

    def holds(self, seconds: float) -> bool:
        """Whether work of that length belongs here.

        >>> band = DurationBand(from_s=3, below_s=30)
        >>> band.holds(2.99), band.holds(3), band.holds(29.9), band.holds(30)
        (False, True, True, False)
        """
        return self.from_s <= seconds and (not self.below_s or seconds < self.below_s)

    def __str__(self) -> str:
        if not self.below_s:
            return f"{self.from_s:g} s or more"
        return f"{self.from_s:g} s to under {self.below_s:g} s" if self.from_s else f"under {self.below_s:g} s"


class StorageRange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Disk for models: a machine has at least `min_gb`, and models take no more than `max_gb`; 0 there is no bound."""

    min_gb: _Gb = 0.0
    max_gb: _Gb = 0.0


class ComputeClass(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a machine must bring, and what a job may ask of it."""

    #: Memory of each GPU at least, as a class (`domain.requirements.VRAM_CLASSES_MB`); 0: a machine without a GPU will do.
    min_vram_mb: _Mb = 0
    min_gpus: Annotated[int, msgspec.Meta(ge=0, le=64)] = 0
    #: The most memory that a job may ask for; 0: as much as a machine has.
    max_job_vram_mb: _Mb = 0
    #: The class of GPU (`domain.gpu_classes`) on which the pool's band is measured; empty: no GPU in particular.
    reference_gpu: _GpuClass = ""


class ModelStrategy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which work the pool takes by what it makes and by what it loads."""

    takes: Annotated[tuple[Modality, ...], msgspec.Meta(min_length=1, max_length=6)]
    #: Whether work of which nobody can say what it makes is taken.
    takes_unknown: bool = True
    #: The largest model file of a job; 0: any that a machine can hold.
    largest_gb: _Gb = 0.0
    #: Models that every machine of the pool should have.
    keep: Annotated[tuple[ModelName, ...], msgspec.Meta(max_length=500)] = ()
    #: Whether models are trained here, and experimental models and nodes run.
    training: bool = False
    experimental: bool = False


class ScalingStance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many machines, of what kind, and who may use them."""

    #: Machines at a time; 0: as many as come.
    max_machines: _Count = 0
    #: Whether machines that may be taken away at any moment (tag `spot`) may join.
    spot: bool = True
    #: The part of its slots that other pools' work may not use.
    reserved_share: _Share = 0.0
    #: Its machines serve no other pool, and work of others never comes here.
    exclusive: bool = False
    #: Machines near their users (tag `edge`) are chosen before equal ones.
    prefers_edge: bool = False
    #: Added to the priority of its jobs.
    priority_boost: Annotated[int, msgspec.Meta(ge=0, le=100)] = 0


class EngineSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What engines find in their environment that a machine of the pool starts itself."""

    environment: Annotated[dict[_Variable, _Value], msgspec.Meta(max_length=64)] = {}


class PoolExample(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A small job that must be routed into the pool; `northstar pools check` proves it."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    #: Seconds that it is expected to run on the pool's reference GPU.
    expected_s: _Seconds
    makes: Annotated[tuple[Modality, ...], msgspec.Meta(max_length=6)] = ()
    largest_model_gb: _Gb = 0.0
    pixels: Annotated[int, msgspec.Meta(ge=0, le=10**12)] = 0
    vram_mb: _Mb = 0
    speciality: Speciality | None = None
    training: bool = False
    experimental: bool = False
    #: Its tenant has enterprise terms.
    enterprise: bool = False


class PoolSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One pool."""

    purpose: Annotated[str, msgspec.Meta(min_length=1, max_length=400)]
    models: ModelStrategy
    band: DurationBand = DurationBand()
    storage: StorageRange = StorageRange()
    compute: ComputeClass = ComputeClass()
    scaling: ScalingStance = ScalingStance()
    engine: EngineSettings = EngineSettings()
    #: Of a sub-pool: the pool that it is a part of, and what it specialises in.
    parent: Pool | None = None
    speciality: Speciality | None = None
    #: Folder with graphs that can be submitted by name; beside the file of pools.
    workflows: _Folder = ""
    examples: Annotated[tuple[PoolExample, ...], msgspec.Meta(max_length=64)] = ()
    #: Where its work may go when no machine of it can do it; the first that can is taken.
    fallback: Annotated[tuple[Pool, ...], msgspec.Meta(max_length=32)] = ()
    #: The part of its jobs for which the pool is in use already (spec, "Gradual Pool Introduction"); the others go to any machine.
    traffic_share: _Share = 1.0


class RoutingRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the matrix reads a job."""

    #: `uniform` switches pools off (spec, "Pool routing can fall back to uniform machine distribution").
    mode: Literal["pools", "uniform"] = "pools"
    #: Which quantile of the estimate is compared with the bands.
    quantile: Literal["p10", "p50", "p90"] = "p50"
    #: Pictures or frames of so many pixels count as high resolution; 3840 x 2160 is "4K".
    high_resolution_pixels: Annotated[int, msgspec.Meta(ge=1, le=10**12)] = 8_294_400


class Pools(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All pools of an installation, by name."""

    pools: Annotated[dict[Pool, PoolSpec], msgspec.Meta(min_length=1, max_length=64)]
    routing: RoutingRule = RoutingRule()

    def get(self, name: str) -> PoolSpec | None:
        """The pool of that name; None for one that an operator gave to machines and described nowhere, and for `uniform`."""
        return self.pools.get(name)

    def is_exclusive(self, name: str) -> bool:
        """Whether nobody else's work may come to machines of this pool."""
        spec = self.pools.get(name)
        return spec is not None and spec.scaling.exclusive

    def of_speciality(self, speciality: Speciality) -> str | None:
        """Name of the sub-pool for it, if there is one."""
        return next((name for name, spec in self.pools.items() if spec.speciality == speciality), None)
