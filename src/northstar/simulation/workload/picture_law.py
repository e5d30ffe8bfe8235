"""What pictures people ask for: the form of the law, and its numbers as fitted to the GenTD26 trace.

The numbers are statistics, not rows: they were worked out of the 16,232 requests from 2024-11-15 to 2024-12-02 (`docs/explanation/workloads.md` says
how, and how near the generator comes). Days are those after the first four, in which the service only began.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from northstar.simulation.workload.sittings import SittingLaw

_Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
_Weights = Annotated[tuple[tuple[int, float], ...], msgspec.Meta(min_length=1)]


class PictureLaw(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The law of a service for pictures. Shares are of all cases of the kind that is named."""

    sittings: SittingLaw
    #: Base models by popularity: up to which rank (from 1), and the share of all choices that goes to the models up to it. Within a
    #: stretch shares fall by the same factor from one to the next, so that the curve has no steps.
    popularity: tuple[tuple[int, float], ...]
    #: The same model as the last time, by the same person: within a sitting, and when somebody comes back.
    same_model_within: _Share
    same_model_after: _Share
    #: Of those who change: share that goes back to a model that the person had before, if there is one.
    back_to_known: _Share
    #: Adapters are for those who stay so many times as long as the middle of all (`Sitting.stays`), or longer. Of their first requests the share with
    #: adapters; later the share that takes to them from one request to the next, and the share that leaves them.
    loras_from_stays: Annotated[float, msgspec.Meta(ge=0)]
    first_loras: _Share
    takes_loras: _Share
    leaves_loras: _Share
    #: Of those who go on with adapters, the share that keeps the same.
    same_loras: _Share
    #: How many adapters are chosen at once, and their weights.
    lora_counts: _Weights
    #: Of adapters that are chosen: share that the person had before, and of the others the share that nobody ever had.
    own_lora: _Share
    new_lora: _Share
    steps: _Weights
    images: _Weights
    #: The same steps, and the same number of pictures, as the last time.
    same_steps: _Share
    same_images: _Share
    #: Kinds of requests and their weights, and the share that keeps to the last one's.
    tasks: tuple[tuple[str, float], ...]
    same_task: _Share
    #: Median seconds of one picture of 30 steps by the most popular models, in the order of their ranks.
    first_paces_s: tuple[float, ...]
    #: Of all others: median and deviation of the natural logarithm.
    pace_median_s: Annotated[float, msgspec.Meta(gt=0)]
    pace_deviation: Annotated[float, msgspec.Meta(ge=0)]
    #: Seconds grow with this power of the pictures, and of the steps; an adapter makes them so many times as long.
    power_of_images: float
    power_of_steps: float
    factor_of_lora: Annotated[float, msgspec.Meta(gt=0)]
    #: A person's requests to one model differ from the model's by this deviation of the natural logarithm, and among themselves by that.
    person_deviation: Annotated[float, msgspec.Meta(ge=0)]
    run_deviation: Annotated[float, msgspec.Meta(ge=0)]
    #: Share of the requests that fail, and after how long.
    fails: _Share
    fails_median_s: Annotated[float, msgspec.Meta(gt=0)]
    fails_deviation: Annotated[float, msgspec.Meta(ge=0)]

    def times(self, factor: float) -> PictureLaw:
        """The same law for `factor` times as many people. Models do not become more: that is what makes caching easier at scale."""
        return msgspec.structs.replace(self, sittings=self.sittings.times(factor))
