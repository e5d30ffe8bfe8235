"""The decision matrix as a table: the specification's flowchart row by row, then the rows for what the chart leaves open.

Rows are tried from above; the first one that nothing speaks against has the job. `docs/decisions/0009` says why each open case goes where.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from northstar.domain.pools import FAST_LANE, HEAVY, LIGHTNING, RESEARCH, STANDARD
from northstar.policy.routing.pool_acceptance import Objection

if TYPE_CHECKING:
    from collections.abc import Callable

    from northstar.domain.job_profiles import JobProfile
    from northstar.domain.pools import Pools, PoolSpec

#: The Standard pool of what the job is: found by its speciality, not by a name.
OF_ITS_SPECIALITY: Final = "the speciality's"
OF_MULTI_MODAL: Final = "the multi-modal"


class Length(msgspec.Struct, frozen=True):
    """How long a job runs on one class of GPU: in seconds, and as it is said, with the GPU where the estimate is another's."""

    seconds: float
    words: str


def length_on(gpu_class: str, job: JobProfile, pools: Pools) -> Length:
    """The quantile that counts, on that class of GPU."""
    estimate = job.estimate_for(gpu_class)
    seconds = {"p10": estimate.p10_s, "p50": estimate.p50_s, "p90": estimate.p90_s}[pools.routing.quantile]
    words = f"{seconds:.0f} s" if seconds >= 100 else f"{seconds:.3g} s"
    is_others = bool(estimate.gpu_class) and estimate.gpu_class != gpu_class
    return Length(seconds, f"{words} on {estimate.gpu_class}" if is_others else words)


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One job before one row."""

    job: JobProfile
    pools: Pools
    spec: PoolSpec
    length: Length


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A row: where it leads, and what must be so. A condition gives what speaks against it, or None."""

    name: str
    pool: str
    asks: tuple[Callable[[Case], Objection | None], ...]
    because: str


def in_band(case: Case) -> Objection | None:
    """The job is as long as the pool's work is."""
    band = case.spec.band
    if band.variable or band.holds(case.length.seconds):
        return None
    return Objection(
        "too-short" if case.length.seconds < band.from_s else "too-long",
        f"takes {band}, and {case.length.words} are expected",
    )


def not_above_band(case: Case) -> Objection | None:
    """The job is no longer than the pool's work; it may be shorter."""
    band = case.spec.band
    if band.variable or not band.below_s or case.length.seconds < band.below_s:
        return None
    return Objection("too-long", f"takes {band}, and {case.length.words} are expected")


def beyond_standard(case: Case) -> Objection | None:
    """The job is longer than anything that Standard takes (spec, chart: ">5m")."""
    standard = case.pools.pools[STANDARD].band
    if standard.below_s and case.length.seconds >= standard.below_s:
        return None
    return Objection(
        "too-short", f"is for work of {standard.below_s:g} s or more here, and {case.length.words} are expected"
    )


def is_multi_modal(case: Case) -> Objection | None:
    """Spec, chart: "Multi-Modal"."""
    if case.job.workload.is_multi_modal or case.job.wanted_speciality == "multi-modal":
        return None
    return Objection("single-domain", "is for work that makes several kinds of things")


def is_video_or_high_resolution(case: Case) -> Objection | None:
    """Spec, chart: "Video/High-Res"; and audio, which the pool has among its examples."""
    workload = case.job.workload
    if {"video", "audio"} & set(workload.modalities) or workload.pixels >= case.pools.routing.high_resolution_pixels:
        return None
    return Objection("not-heavy", "is for video, audio and high resolution here")


def is_research(case: Case) -> Objection | None:
    """Spec, chart: "Research/Experimental"; and training, which only this pool has among its features."""
    if case.job.workload.is_training or case.job.workload.is_experimental:
        return None
    return Objection("not-research", "is for training and experiments")


ROWS: Final = (
    # The chart.
    Row(name="lightning", pool=LIGHTNING, asks=(in_band,), because="it is as short as Lightning's work"),
    Row(name="fast-lane", pool=FAST_LANE, asks=(in_band,), because="it is as long as Fast Lane's work"),
    Row(
        name="standard-speciality",
        pool=OF_ITS_SPECIALITY,
        asks=(in_band,),
        because="it is Standard work of that speciality",
    ),
    Row(
        name="standard-multi-modal",
        pool=OF_MULTI_MODAL,
        asks=(in_band, is_multi_modal),
        because="it makes several kinds of things",
    ),
    Row(name="standard", pool=STANDARD, asks=(in_band,), because="it is Standard work that names no speciality"),
    Row(
        name="heavy",
        pool=HEAVY,
        asks=(in_band, is_video_or_high_resolution),
        because="it is long, and makes video or audio or pictures of high resolution",
    ),
    Row(
        name="research",
        pool=RESEARCH,
        asks=(beyond_standard, is_research),
        because="it is long, and trains or experiments",
    ),
    # What the chart leaves open.
    Row(
        name="short-research",
        pool=RESEARCH,
        asks=(is_research,),
        because="it trains or experiments, which no pool of its length does",
    ),
    Row(
        name="long-other", pool=HEAVY, asks=(in_band,), because="it is long, though neither video nor research: a batch"
    ),
    Row(name="shorter-fast-lane", pool=FAST_LANE, asks=(not_above_band,), because="no faster pool takes it"),
    Row(name="shorter-speciality", pool=OF_ITS_SPECIALITY, asks=(not_above_band,), because="no faster pool takes it"),
    Row(
        name="shorter-multi-modal",
        pool=OF_MULTI_MODAL,
        asks=(not_above_band, is_multi_modal),
        because="no faster pool takes it",
    ),
    Row(name="shorter-standard", pool=STANDARD, asks=(not_above_band,), because="no faster pool takes it"),
    Row(name="shorter-heavy", pool=HEAVY, asks=(not_above_band,), because="no faster pool takes it"),
)
