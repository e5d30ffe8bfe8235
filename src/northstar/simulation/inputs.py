"""What a simulation is given: jobs as their clients submit them, and machines as they come, stand and go.

Moments are milliseconds from the beginning of the simulation; the first may be 0.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

from northstar.domain.gpu_classes import gpu_class_of
from northstar.domain.jobs import JobRequest
from northstar.domain.machines import MachineDescription, MachineId, MachineProfile
from northstar.domain.models import ModelKind, ModelName
from northstar.domain.requirements import Pool, Word

_Ms = Annotated[int, msgspec.Meta(ge=0)]
_Bytes = Annotated[int, msgspec.Meta(ge=0, le=10_000_000_000_000)]
_Rate = Annotated[float, msgspec.Meta(gt=0, le=1e15)]


class SimulatedJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job, and what nobody knows when it is submitted: how long it really takes.

    The files that it needs are the models of `request.requires`, with their true bytes. One with sources is fetched by a machine that lacks it;
    one without is in every engine, and only its load counts. The request's tenant and user are whose it is. It needs no id: it gets one in the order of the
    workload. What a client would not say (`expected_s`, `pool`) is left out, so that the broker decides it as for real.
    """

    at_ms: _Ms
    request: JobRequest
    #: Seconds of the work itself by class of GPU (`domain.gpu_classes`), without queue, fetch and load; "" is any class that is not named.
    run_s: dict[str, float]
    #: The work itself fails at its end, as often as it is tried.
    fails: bool = False

    def seconds_on(self, gpu_class: str) -> float:
        """How long the work takes there. Raises KeyError: nobody said it of this class, nor of any."""
        found = self.run_s.get(gpu_class)
        return self.run_s[""] if found is None else found


class FileOnDisk(msgspec.Struct, frozen=True, kw_only=True):
    """A model file that lies on a machine's disk from the start, as those of its image do: it cost no download."""

    name: ModelName
    size_bytes: _Bytes
    kind: ModelKind = "checkpoint"
    #: Of the machine's image: it is never evicted, and takes no room from what is fetched.
    baked: bool = False


class Life(msgspec.Struct, frozen=True, kw_only=True):
    """One time that a machine is there. Paid for from `from_ms`, and ready for work `boots_ms` later."""

    from_ms: _Ms = 0
    #: Empty: to the end of the simulation.
    until_ms: int | None = None
    boots_ms: _Ms = 0
    #: left: it drains, hands back what still runs and goes · lost: it falls silent, and its connection breaks.
    ends: Literal["left", "lost"] = "left"
    #: At most so long before the end it takes no more work and finishes what it has; only of one that leaves.
    drains_ms: _Ms = 0
    #: Whether its disk is as the life before left it; else it has the machine's `disk` alone.
    keeps_disk: bool = False


class SimulatedMachine(msgspec.Struct, frozen=True, kw_only=True):
    """A machine of the fleet, its hardware as it really is."""

    id: MachineId
    pools: tuple[Pool, ...]
    services: tuple[Word, ...]
    #: As its driver calls the GPU: its class decides how long work takes.
    gpu: str = "NVIDIA GeForce RTX 4090"
    vram_mb: Annotated[int, msgspec.Meta(ge=0)] = 24_000
    slots: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 1
    #: Room for fetched models.
    disk_bytes: _Bytes = 100_000_000_000
    #: Its line, which all fetches of the machine share, and how long each of them takes to begin.
    link_bytes_per_s: _Rate = 125_000_000.0
    fetch_starts_s: float = 0.5
    #: From disk into GPU memory.
    load_bytes_per_s: _Rate = 1_600_000_000.0
    #: What it says of its line before it has measured it, as settings do; 0: nothing.
    told_bytes_per_s: float = 0.0
    region: str = ""
    price_usd_per_hour: float = 0.0
    tags: tuple[Word, ...] = ()
    node_packs: tuple[str, ...] = ()
    dedicated_to: Word | None = None
    disk: tuple[FileOnDisk, ...] = ()
    #: In order, without overlap; none, of one that follows its queue (`simulation.scaling`).
    lives: tuple[Life, ...] = (Life(),)

    @property
    def gpu_class(self) -> str:
        """The class of its GPU."""
        return gpu_class_of(self.gpu)

    def profile(self) -> MachineProfile:
        """What it registers as."""
        return MachineProfile(
            pools=self.pools,
            services=self.services,
            vram_mb=self.vram_mb,
            node_packs=self.node_packs,
            tags=self.tags,
            dedicated_to=self.dedicated_to,
            region=self.region,
        )

    def description(self) -> MachineDescription:
        """What it says of itself beside that, before it has measured anything."""
        return MachineDescription(
            download_bytes_per_s=self.told_bytes_per_s,
            region=self.region,
            price_usd_per_hour=self.price_usd_per_hour,
            gpu=self.gpu,
            disk_bytes=self.disk_bytes,
        )


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Something that befalls a machine beside the end of its life.

    link: for `for_ms` its line is `factor` times as fast · corrupt: the next fetch that ends is thrown away and begun again ·
    engine: its engine dies, what runs there fails and can be tried again, and it takes no work for `for_ms` ·
    cut_off: for `for_ms` it goes on working and nobody hears of it.
    """

    at_ms: _Ms
    machine: MachineId
    kind: Literal["link", "corrupt", "engine", "cut_off"]
    for_ms: _Ms = 0
    factor: Annotated[float, msgspec.Meta(gt=0)] = 1.0


class ServerRestart(msgspec.Struct, frozen=True, kw_only=True):
    """The server of the queue is away for `for_ms`, and comes back with all that it had. One that would begin while it is away befalls nobody."""

    at_ms: _Ms
    for_ms: Annotated[int, msgspec.Meta(gt=0)]


#: Whatever befalls a simulation.
AnyFault: TypeAlias = Fault | ServerRestart
