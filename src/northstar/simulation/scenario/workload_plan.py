"""Which jobs come in a scenario: from traces or made by laws, mixed, and scaled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, TypeAlias

import msgspec

from northstar.domain.jobs import Tenant
from northstar.domain.requirements import Word
from northstar.simulation.fleet.lengths import Length
from northstar.simulation.workload.regions import RegionClock

_File = Annotated[str, msgspec.Meta(min_length=1, max_length=4_096)]
_Days = Annotated[int, msgspec.Meta(ge=1, le=3_650)]
_PerDay = Annotated[float, msgspec.Meta(ge=0, le=10_000_000)]


#: A class of cards (`domain.gpu_classes`).
GpuClass = Annotated[str, msgspec.Meta(min_length=1, max_length=48, pattern=r"^[a-z0-9][a-z0-9.-]*$")]
Pace = Annotated[float, msgspec.Meta(gt=0, le=1_000)]


class OwnTrace(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="from", tag="own"):
    """One's own history, as `northstar export --for simulation` writes it."""

    #: The CSV.
    trace: _File
    #: Only jobs that ran in this region, and they may run nowhere else; left out: all, anywhere.
    region: Annotated[str, msgspec.Meta(max_length=128)] = ""


class GenTd26(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="from", tag="gentd26"):
    """Requests of a production service for pictures: Alibaba's GenTD26, joined with its LoRA file."""

    #: The CSV.
    trace: _File
    #: Sizes of the model files, which the trace does not say, are drawn by this seed.
    sizes_seed: Annotated[int, msgspec.Meta(ge=0)] = 1
    #: The service that its jobs ask for.
    service: Word = "pictures"


class AzureChats(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="from", tag="azure"):
    """Requests to language models: Azure's trace of November 2023."""

    #: The CSV.
    trace: _File
    #: The service that its jobs ask for.
    service: Word = "chat"


class MooncakeChats(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="from", tag="mooncake"
):
    """Requests to language models: Mooncake's conversation trace."""

    #: The JSON lines.
    trace: _File
    #: The service that its jobs ask for.
    service: Word = "chat"


class MadeMix(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="from", tag="mix"):
    """Jobs made by laws and the seed, with the statistics of real services: services `pictures`, `chat`, `media` and `training`.

    The numbers are requests of a weekday, on average; 0 leaves a kind out.
    """

    #: How many service days.
    days: _Days = 7
    #: Weekday of the first: 0 is Monday.
    first_weekday: Annotated[int, msgspec.Meta(ge=0, le=6)] = 0
    #: Pictures, of service `pictures`.
    pictures: _PerDay = 2_000
    #: Answers of language models, of service `chat`.
    chats: _PerDay = 4_000
    #: Videos, music and meshes, of service `media`.
    media: _PerDay = 150
    #: Trainings and experiments, of service `training`.
    training: _PerDay = 10
    #: Its jobs are drawn by this seed in every run, so that runs differ by less than a whole workload; left out: by the run's own seed.
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | None = None


SourcePlan: TypeAlias = OwnTrace | GenTd26 | AzureChats | MooncakeChats | MadeMix


class TenantPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tenant, and how many of the users are its own."""

    #: The tenant.
    name: Tenant
    #: Its part of the users, beside the other tenants' parts.
    share: Annotated[float, msgspec.Meta(gt=0, le=1_000_000)] = 1.0


class WorkloadPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The jobs that come, from all sources together. Each source begins at the beginning of the simulation."""

    #: Where jobs come from.
    sources: Annotated[tuple[SourcePlan, ...], msgspec.Meta(min_length=1, max_length=20)]
    #: So many times as many users: each with copies that come a little earlier or later.
    users: Annotated[float, msgspec.Meta(ge=1, le=10_000)] = 1.0
    #: The same jobs, so many times as fast one after the other; each takes as long as before.
    faster: Annotated[float, msgspec.Meta(ge=1, le=10_000)] = 1.0
    #: How many times as long the same work takes on cards of other classes than it was measured on, as `{rtx-3090: 1.6}`; left out: as long.
    gpu_paces: Annotated[dict[GpuClass, Pace], msgspec.Meta(max_length=100)] = {}
    #: Only jobs before this moment, after all scaling.
    until: Length | None = None
    #: Tenants with their parts of the users; left out: as the sources have it. What was agreed with them stands in `settings.tenants`.
    tenants: Annotated[tuple[TenantPart, ...], msgspec.Meta(max_length=1_000)] = ()
    #: Regions from which the whole of it comes once more, each by its own clock; left out: from nowhere in particular.
    regions: Annotated[tuple[RegionClock, ...], msgspec.Meta(max_length=100)] = ()

    def files(self) -> Iterator[str]:
        """The traces that it names."""
        for source in self.sources:
            if not isinstance(source, MadeMix):
                yield source.trace
