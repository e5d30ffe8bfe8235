"""How long a job is expected to run, and how sure that is."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

#: Where an estimate comes from, the surest first: what this user's jobs of this shape took, anybody's of this shape, of this model;
#: what its features let expect; rules, when nothing like it has ever run, or when nobody could look whether it has; or what its
#: submitter said.
EstimateSource = Literal["user", "shape", "model", "features", "rules", "rules-without-history", "declared"]

_Seconds = Annotated[float, msgspec.Meta(ge=0, le=30 * 86_400)]


class DurationEstimate(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds that the work itself takes on a machine that has everything in memory: no queue, no fetch, no load.

    Quantiles: of ten such jobs one is shorter than `p10_s`, five than `p50_s`, nine than `p90_s`.
    """

    p10_s: _Seconds
    p50_s: _Seconds
    p90_s: _Seconds
    source: EstimateSource
    #: 0 is a guess; 1 would be certainty. About the chance that the true time lies within 25 % of `p50_s`.
    confidence: Annotated[float, msgspec.Meta(ge=0, le=1)]
    #: Finished runs behind it.
    runs: Annotated[int, msgspec.Meta(ge=0)] = 0
    #: The class of GPU that it is about; empty: that of no GPU in particular.
    gpu_class: Annotated[str, msgspec.Meta(max_length=64)] = ""


class FinishedRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run that succeeded, as durations are learned from it. `ran_s` is the work itself, without queue, fetch, load and storing."""

    shape: str
    service: str
    model: str
    user: str
    gpu_class: str
    ran_s: float
    #: The larger things that its time depends on: pixels x steps x images x frames, tokens; 0 is unknown.
    work: float = 0.0
    finished_ms: int = 0
    #: Who ran it, for whom, and how long the cell saw it hold the job, seconds from claim to end: what its word is measured by.
    machine: str = ""
    tenant: str = ""
    held_s: float | None = None
