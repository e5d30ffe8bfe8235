"""A workload of all kinds together, so that every one of the six pools has work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from northstar.domain.tenancy import TenantTerms
from northstar.simulation.workload.chat_jobs import generated_chats
from northstar.simulation.workload.fitted import CHAT_LAW, EVEN_SITTINGS, PICTURE_LAW
from northstar.simulation.workload.generated_pictures import generated_pictures
from northstar.simulation.workload.media_jobs import media_jobs
from northstar.simulation.workload.media_law import MediaFile, MediaWorkflow
from northstar.simulation.workload.mixing import TenantShare, mixed, with_tenants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from northstar.simulation.inputs import SimulatedJob

_GB: Final = 1_000_000_000
_PerDay = Annotated[float, msgspec.Meta(ge=0, le=10_000_000)]

#: Video, audio and meshes where no list of templates is at hand. Assumed: round figures of well-known open models and their files.
MEDIA_WORKFLOWS: Final = (
    MediaWorkflow(
        name="text to video, large",
        makes=("video",),
        usage=30,
        files=(
            MediaFile(name="video-14b.safetensors", kind="diffusion_model", size_bytes=14 * _GB),
            MediaFile(name="video-text-encoder.safetensors", kind="text_encoder", size_bytes=7 * _GB),
            MediaFile(name="video-vae.safetensors", kind="vae", size_bytes=_GB // 4),
        ),
        median_s=600,
        steps=20,
        pixels=589_824,
        frames=81,
    ),
    MediaWorkflow(
        name="picture to video, small",
        makes=("video",),
        usage=40,
        files=(
            MediaFile(name="video-5b.safetensors", kind="diffusion_model", size_bytes=10 * _GB),
            MediaFile(name="video-text-encoder.safetensors", kind="text_encoder", size_bytes=7 * _GB),
        ),
        median_s=330,
        steps=20,
        pixels=901_120,
        frames=121,
    ),
    MediaWorkflow(
        name="music",
        makes=("audio",),
        usage=20,
        files=(MediaFile(name="music-3b.safetensors", kind="checkpoint", size_bytes=8 * _GB),),
        median_s=380,
        steps=50,
    ),
    MediaWorkflow(
        name="picture to mesh",
        makes=("3d",),
        usage=10,
        files=(MediaFile(name="mesh-2b.safetensors", kind="checkpoint", size_bytes=5 * _GB),),
        median_s=90,
        steps=30,
    ),
)
#: Assumed: an adapter is trained for an image model in an hour and a half, now and then; and somebody tries what is new.
TRAINING_WORKFLOWS: Final = (
    MediaWorkflow(
        name="train an adapter",
        makes=("image",),
        usage=60,
        files=(MediaFile(name="trained-12b.safetensors", kind="diffusion_model", size_bytes=24 * _GB),),
        median_s=5_400,
        deviation=0.5,
        steps=2_000,
        training=True,
    ),
    MediaWorkflow(
        name="an experiment with video",
        makes=("video",),
        usage=40,
        files=(MediaFile(name="experimental-video.safetensors", kind="diffusion_model", size_bytes=28 * _GB),),
        median_s=1_500,
        deviation=0.5,
        steps=30,
        pixels=921_600,
        frames=121,
        experimental=True,
    ),
)
#: Assumed: one user in twelve belongs to a customer with enterprise terms, and one in ten to one whose share of the machines is double.
TENANTS: Final = (
    TenantShare(name="everybody", share=82),
    TenantShare(name="studio", share=10, terms=TenantTerms(weight=2.0)),
    TenantShare(name="customer", share=8, terms=TenantTerms(enterprise=True)),
)


class FleetMix(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much of what. Requests are those of a weekday, on average; 0 leaves a kind out. Pictures are as the fitted law has them, `times` as many."""

    days: Annotated[int, msgspec.Meta(ge=1, le=3_650)] = 7
    #: Of day 0: 0 is Monday.
    first_weekday: Annotated[int, msgspec.Meta(ge=0, le=6)] = 0
    pictures: _PerDay = 2_000
    chats: _PerDay = 4_000
    media: _PerDay = 150
    training: _PerDay = 10
    tenants: Annotated[tuple[TenantShare, ...], msgspec.Meta(min_length=1, max_length=1_000)] = TENANTS
    media_workflows: Annotated[tuple[MediaWorkflow, ...], msgspec.Meta(min_length=1)] = MEDIA_WORKFLOWS
    training_workflows: Annotated[tuple[MediaWorkflow, ...], msgspec.Meta(min_length=1)] = TRAINING_WORKFLOWS

    def times(self, factor: float) -> FleetMix:
        """The same for `factor` times as many people."""
        more = {name: getattr(self, name) * factor for name in ("pictures", "chats", "media", "training")}
        return msgspec.structs.replace(self, **more)


def fleet_workload(mix: FleetMix, *, seed: int) -> Iterator[SimulatedJob]:
    """The jobs, in the order of their times. Every kind has a stream of its own: leaving one out changes none of the others."""
    parts: list[Iterator[SimulatedJob]] = []
    days, first = mix.days, mix.first_weekday
    if mix.pictures:
        law = PICTURE_LAW.times(mix.pictures / PICTURE_LAW.sittings.per_weekday)
        parts.append(generated_pictures(law, days=days, seed=seed, first_weekday=first))
    if mix.chats:
        chats = msgspec.structs.replace(
            CHAT_LAW, sittings=CHAT_LAW.sittings.times(mix.chats / CHAT_LAW.sittings.per_weekday)
        )
        parts.append(generated_chats(chats, days=days, seed=seed, first_weekday=first))
    for name, count, workflows in (
        ("media", mix.media, mix.media_workflows),
        ("training", mix.training, mix.training_workflows),
    ):
        if count:
            people = EVEN_SITTINGS.times(count / EVEN_SITTINGS.per_weekday)
            parts.append(
                media_jobs(workflows, people, days=days, seed=seed, first_weekday=first, stream=name, service=name)
            )
    return with_tenants(mixed(parts), mix.tenants, seed=seed)
