"""What stands at the key `evaluation` of an agreed scenario: what its runs say of the targets."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from northstar.simulation.fleet.lengths import Length

#: What of two runs on the same workload is compared, as the share by which the second is undercut.
#: redundant: bytes that jobs of the window waited for and that the fleet had fetched before · all-redundant: those, what came again for no
#: job in the whole run, and what came with images · hours: machine-hours · dollars: costs.
Cut = Literal["redundant", "all-redundant", "hours", "dollars"]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
_Share = Annotated[float, msgspec.Meta(gt=0, le=1)]
_Text = Annotated[str, msgspec.Meta(max_length=400)]


class Feed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a figure of the targets follows from runs of this scenario."""

    #: The number of a run that it is; left out: that of the figure's own name. Not said together with `cut`.
    number: _Name | None = None
    #: In place of a number: by how much the first policy undercuts `against`, seed by seed.
    cut: Cut | None = None
    #: The policy that is undercut.
    against: _Name | None = None
    #: The scenario whose runs of `against` are meant, where it needs another fleet; left out: this one.
    of: _Name | None = None
    #: Measured only where at least this share of jobs waited less than 10 s, with every seed; where two scenarios are compared, in both.
    if_soon: _Share | None = None
    #: The policy that is shown beside it; left out: none.
    beside: _Name | None = None
    #: What has to be said of it.
    note: _Text = ""
    #: Settings were chosen on the same window, so that it flatters.
    tuned: bool = False


class EvaluationPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Beside what is simulated."""

    #: Figures of the targets, each with how it follows; the scenario's first policy is the one that is judged.
    feeds: Annotated[dict[_Name, Feed], msgspec.Meta(max_length=100)] = {}
    #: About how long one run takes on two cores that do nothing else.
    takes: Length = Length(60_000)
    #: Sizes of model files, which the trace does not say, are drawn by the seed of each run, so that seeds differ in more than lots.
    sizes_by_seed: bool = False
    #: Its machines hold every model that the workload ever asks for, in images without a bound: the uniform approach of the specification.
    every_model: bool = False
    #: Estimates of durations are judged by replaying the first GenTD26 trace that the scenario names, and not by its jobs: once, the same for all seeds.
    replays_durations: bool = False
    #: What the policy's disks could have saved at best is worked out too, from the same jobs.
    caching_frame: bool = False
