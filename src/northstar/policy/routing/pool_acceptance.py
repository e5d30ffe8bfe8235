"""Whether a pool takes a job at all, however long it runs: what holds for the matrix, for whoever asks for the pool, and for fallbacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from northstar.domain.job_profiles import JobProfile
    from northstar.domain.pools import PoolSpec

_GB = 1_000_000_000


class Objection(msgspec.Struct, frozen=True):
    """One reason against. `code` is for programs and stable; the sentence has the pool as its subject."""

    code: str
    sentence: str


def objections(spec: PoolSpec, job: JobProfile) -> Iterator[Objection]:
    """Everything that speaks against the job in this pool.

    What is not known of the job is not held against it, but a pool may refuse work of which nobody can say what it makes.
    """
    yield from _to_what_it_makes(spec, job)
    yield from _to_its_models(spec, job)
    if job.workload.is_training and not spec.models.training:
        yield Objection("training", "trains no models")
    if job.workload.is_experimental and not spec.models.experimental:
        yield Objection("experimental", "runs nothing experimental")
    if spec.scaling.exclusive and not job.terms.enterprise:
        yield Objection("exclusive", "is kept for tenants with enterprise terms")


def _to_what_it_makes(spec: PoolSpec, job: JobProfile) -> Iterator[Objection]:
    made = job.workload.modalities
    if not made and not spec.models.takes_unknown:
        yield Objection(
            "modality-unknown", f"takes only {' and '.join(spec.models.takes)}, and what the job makes is not known"
        )
    if others := [one for one in made if one not in spec.models.takes]:
        yield Objection(
            "modality", f"takes only {' and '.join(spec.models.takes)}, and the job makes {' and '.join(others)}"
        )


def _to_its_models(spec: PoolSpec, job: JobProfile) -> Iterator[Objection]:
    largest_gb, all_gb = job.largest_model_bytes / _GB, job.models_bytes / _GB
    if spec.models.largest_gb and largest_gb > spec.models.largest_gb:
        yield Objection(
            "model-too-large",
            f"takes models of at most {spec.models.largest_gb:g} GB, and the job's largest has {largest_gb:.1f}",
        )
    if spec.storage.max_gb and all_gb > spec.storage.max_gb:
        yield Objection(
            "models-too-large",
            f"has {spec.storage.max_gb:g} GB of disk for models at most, and the job's take {all_gb:.1f} together",
        )
    if spec.compute.max_job_vram_mb and job.vram_mb > spec.compute.max_job_vram_mb:
        yield Objection(
            "vram-too-large",
            f"gives a job at most {spec.compute.max_job_vram_mb} MB of VRAM, and this one needs {job.vram_mb}",
        )
