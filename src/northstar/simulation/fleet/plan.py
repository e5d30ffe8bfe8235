"""A fleet as people describe it: kinds of machines, and groups of them that come and go by the same laws."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from northstar.domain.models import ModelKind, ModelName
from northstar.domain.requirements import Pool, Word
from northstar.simulation.fleet.laws import BootLaw, LifetimeLaw, Never
from northstar.simulation.fleet.lengths import Length

#: Names of kinds and groups; machines are named by their group.
FleetName = Annotated[str, msgspec.Meta(min_length=1, max_length=48, pattern=r"^[a-z0-9][a-z0-9-]*$")]
#: As many machines as a fleet may count at once, which is five times what North Star is made for.
MAX_MACHINES = 50_000


class BakedFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model file of the image: it is there from the start, costs no download, and is never evicted."""

    #: As jobs name it.
    name: ModelName
    #: What kind of model it is.
    kind: ModelKind = "checkpoint"
    #: Its size, decimal GB.
    gb: Annotated[float, msgspec.Meta(gt=0, le=10_000)]


class PriceOf(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A price by name, from the scenario's price table."""

    #: Who lets the machine, as the table calls them.
    provider: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    #: The GPU, as the table calls it.
    gpu: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    #: How many of them the machine has.
    gpus: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    #: Which of its prices.
    offer: Literal["on-demand", "spot"] = "on-demand"


class MachineKind(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Machines that are all alike."""

    #: As its driver calls the GPU; its class decides how long work takes.
    gpu: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    #: Memory of the GPU, decimal GB.
    vram_gb: Annotated[float, msgspec.Meta(ge=0, le=10_000)]
    #: Pools whose work it takes.
    pools: Annotated[tuple[Pool, ...], msgspec.Meta(min_length=1, max_length=16)]
    #: What its engines do, as jobs ask for it.
    services: Annotated[tuple[Word, ...], msgspec.Meta(min_length=1, max_length=64)]
    #: Jobs that it runs side by side.
    slots: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 1
    #: Room for fetched models, decimal GB.
    disk_gb: Annotated[float, msgspec.Meta(gt=0, le=10_000)] = 100
    #: Its line, which all its downloads share, millions of bytes per second.
    link_mb_per_s: Annotated[float, msgspec.Meta(gt=0, le=1_000_000)] = 125
    #: How long each download takes to begin, seconds.
    fetch_starts_s: Annotated[float, msgspec.Meta(ge=0, le=3_600)] = 0.5
    #: From disk into the memory of the GPU, decimal GB per second.
    load_gb_per_s: Annotated[float, msgspec.Meta(gt=0, le=10_000)] = 1.6
    #: It tells the broker the speed of its line when it joins; else the broker learns it from the first downloads.
    tells_link: bool = False
    #: What an hour of it costs; or a name in the price table. Left out: not known, and counted as nothing.
    price_usd_per_hour: Annotated[float, msgspec.Meta(ge=0, le=1_000_000)] | PriceOf | None = None
    #: Where it stands; empty is unknown.
    region: Annotated[str, msgspec.Meta(max_length=128)] = ""
    #: Words that jobs may ask for.
    tags: Annotated[tuple[Word, ...], msgspec.Meta(max_length=64)] = ()
    #: Node packs of its ComfyUI engines.
    node_packs: Annotated[tuple[str, ...], msgspec.Meta(max_length=500)] = ()
    #: Set: runs only jobs that ask for this isolation.
    dedicated_to: Word | None = None
    #: Model files of its image.
    image: Annotated[tuple[BakedFile, ...], msgspec.Meta(max_length=1_000)] = ()


class ScalingPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A group that follows its queue, as Kubernetes' autoscaler with KEDA does, whose defaults these are.

    The queue are the jobs, waiting and running, of the group's pools and services. The group has one machine for so many jobs, at least `least` and at
    most its `count`; it grows at once and shrinks slowly, and only idle machines go.
    """

    #: Jobs that one machine stands for.
    jobs_per_machine: Annotated[float, msgspec.Meta(gt=0, le=1_000_000)] = 5.0
    #: Machines that there are without any job.
    least: Annotated[int, msgspec.Meta(ge=0, le=MAX_MACHINES)] = 0
    #: The queue is looked at so often.
    every: Length = Length(30_000)
    #: Without a job, the last machine goes after this.
    cool_down: Length = Length(300_000)
    #: It shrinks to the largest size that was wanted within this time.
    settles: Length = Length(300_000)


class MachineGroup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Machines of one kind that come and go by the same laws, each by its own chance."""

    #: Its name; its machines are called `NAME-01` and so on.
    name: FleetName
    #: One of the fleet's kinds.
    kind: FleetName
    #: How many machines there are at a time.
    count: Annotated[int, msgspec.Meta(ge=1, le=MAX_MACHINES)]
    #: When it is asked for, from the beginning of the simulation.
    joins: Length = Length(0)
    #: When it is given up; left out: never. Its machines then hand back what they still do, unless `notice` gives them time to finish it.
    leaves: Length | None = None
    #: How long a machine takes from being asked for to being ready; left out: no time.
    boot: BootLaw | None = None
    #: It is paid for while it boots.
    boot_is_paid: bool = True
    #: The machines of the beginning are up already, and none of them has to boot first.
    begins_ready: bool = True
    #: How long a machine stays once it is ready.
    lifetime: LifetimeLaw = msgspec.field(default_factory=Never)
    #: So long beforehand it is told that it will be taken away; none: it vanishes.
    notice: Length = Length(0)
    #: `kept`: it is the same machine that comes back, with its disk. `lost`: another one comes, with an empty disk.
    disks: Literal["kept", "lost"] = "lost"
    #: One that is gone is asked for again.
    replaced: bool = True
    #: So long after it went.
    replaced_after: Length = Length(0)
    #: It follows its queue, and `count` is the most; left out: there are always so many.
    scaling: ScalingPlan | None = None
    #: Region of its machines, if another than that of their kind.
    region: Annotated[str, msgspec.Meta(max_length=128)] = ""


class FleetPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The machines that there are, and when."""

    #: Kinds of machines, by name.
    kinds: Annotated[dict[FleetName, MachineKind], msgspec.Meta(min_length=1, max_length=200)]
    #: Groups of machines.
    groups: Annotated[tuple[MachineGroup, ...], msgspec.Meta(min_length=1, max_length=1_000)]
