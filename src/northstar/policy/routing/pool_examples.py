"""The examples of the pools, put through the matrix: proof that a changed file still routes as its author means."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from northstar.domain.estimates import DurationEstimate
from northstar.domain.job_profiles import JobProfile
from northstar.domain.tenancy import NO_TERMS, TenantTerms
from northstar.domain.workloads import Workload
from northstar.policy.routing.decision_matrix import NoPoolTakesJob, choose_pool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from northstar.domain.decisions import PoolChoice
    from northstar.domain.pools import PoolExample, Pools, PoolSpec

_BYTES_PER_GB = 1_000_000_000


class RoutedExample(msgspec.Struct, frozen=True, kw_only=True):
    """Where an example of a pool goes."""

    pool: str
    example: str
    #: Empty: no pool takes it.
    routed_to: str
    row: str
    because: str

    @property
    def is_right(self) -> bool:
        """Whether it goes where it should."""
        return self.pool == self.routed_to


def routed_examples(pools: Pools) -> Iterator[RoutedExample]:
    """Every example of every pool, as if pools were in use for all work."""
    wholly = _wholly_in_use(pools)
    for name, spec in pools.pools.items():
        for example in spec.examples:
            try:
                found: PoolChoice | NoPoolTakesJob = choose_pool(profile_of(example, spec), wholly)
            except NoPoolTakesJob as exc:
                found = exc
            if isinstance(found, NoPoolTakesJob):
                yield RoutedExample(pool=name, example=example.name, routed_to="", row="", because=str(found))
            else:
                yield RoutedExample(
                    pool=name, example=example.name, routed_to=found.pool, row=found.row, because=found.because
                )


def profile_of(example: PoolExample, spec: PoolSpec) -> JobProfile:
    """The example as the matrix takes a job."""
    size_bytes = round(example.largest_model_gb * _BYTES_PER_GB)
    seconds = example.expected_s
    return JobProfile(
        key=example.name,
        workload=Workload(
            modalities=tuple(sorted(example.makes)),
            pixels=example.pixels,
            speciality=example.speciality,
            is_training=example.training,
            is_experimental=example.experimental,
        ),
        estimate=DurationEstimate(
            p10_s=seconds,
            p50_s=seconds,
            p90_s=seconds,
            source="declared",
            confidence=1.0,
            gpu_class=spec.compute.reference_gpu,
        ),
        terms=TenantTerms(enterprise=True) if example.enterprise else NO_TERMS,
        largest_model_bytes=size_bytes,
        models_bytes=size_bytes,
        vram_mb=example.vram_mb,
    )


def _wholly_in_use(pools: Pools) -> Pools:
    return msgspec.structs.replace(
        pools,
        routing=msgspec.structs.replace(pools.routing, mode="pools"),
        pools={name: msgspec.structs.replace(spec, traffic_share=1.0) for name, spec in pools.pools.items()},
    )
