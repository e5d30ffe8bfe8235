"""What people make beside pictures and chats: workflows, how often each is used, what it needs and how long it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from northstar.domain.models import ModelKind, ModelName
from northstar.domain.workloads import Modality
from northstar.simulation.workload.draws import share_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from northstar.simulation.workload.templates import Template, TemplateModality


class MediaFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model file of a workflow."""

    name: ModelName
    kind: ModelKind
    size_bytes: Annotated[int, msgspec.Meta(gt=0)]


class MediaWorkflow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A workflow that many people use."""

    name: str
    makes: tuple[Modality, ...]
    #: How often, beside the others.
    usage: Annotated[float, msgspec.Meta(ge=0)]
    files: tuple[MediaFile, ...]
    #: Seconds: median, and deviation of the natural logarithm from run to run.
    median_s: Annotated[float, msgspec.Meta(gt=0)]
    deviation: Annotated[float, msgspec.Meta(ge=0)] = 0.25
    steps: int = 0
    pixels: int = 0
    frames: int = 0
    training: bool = False
    experimental: bool = False


#: Assumed, for no public trace tells it: how long workflows of a kind take on a card of the 24 GB kind (median of the kind's workflows, seconds),
#: how much workflows of one kind differ (deviation of the natural logarithm), and the numbers that their payload names.
_OF_KIND: Final[dict[TemplateModality, tuple[Modality, float, float, int, int, int]]] = {
    # kind: what it makes, median, deviation, steps, pixels, frames
    "image": ("image", 20.0, 0.6, 25, 1_048_576, 0),
    "video": ("video", 420.0, 0.6, 20, 589_824, 81),
    "audio": ("audio", 400.0, 0.5, 50, 0, 0),
    "3d": ("3d", 90.0, 0.5, 30, 0, 0),
    "llm": ("text", 4.0, 0.5, 0, 0, 0),
}
#: What part of a workflow's bytes a file of a folder has, beside its others: text encoders are about half as large as what they encode for.
_WEIGHTS: Final[dict[str, float]] = {
    "diffusion_models": 10.0,
    "unet": 10.0,
    "checkpoints": 10.0,
    "text_encoders": 5.0,
    "clip": 5.0,
    "loras": 0.5,
    "controlnet": 2.0,
    "model_patches": 2.0,
    "clip_vision": 0.7,
    "vae": 0.3,
}
_OTHER_WEIGHT: Final = 1.0
#: Bytes for a weight of 1 where a workflow does not say its size.
_BYTES_PER_WEIGHT: Final = 1_000_000_000
_KINDS: Final[dict[str, ModelKind]] = {
    "diffusion_models": "diffusion_model",
    "unet": "diffusion_model",
    "checkpoints": "checkpoint",
    "text_encoders": "text_encoder",
    "clip": "text_encoder",
    "loras": "lora",
    "controlnet": "controlnet",
    "vae": "vae",
    "upscale_models": "upscaler",
    "embeddings": "embedding",
}


def workflows_of(
    templates: Iterable[Template], *, modalities: Iterable[TemplateModality], seed: int
) -> tuple[MediaWorkflow, ...]:
    """Templates of these kinds that a fleet can run, as workflows; used as often as they were.

    The list says how large all files of a template are together, not each: a file has its part of that by its folder, on average over the templates
    that have it, so that one file has one size. How long a template takes is drawn for it by the seed around the median of its kind.
    """
    chosen = tuple(modalities)
    some = [one for one in templates if one.runs_here and one.usage and one.modality in chosen]
    sizes = _sizes(some)
    return tuple(_workflow(one, sizes, seed=seed) for one in some)


def _workflow(template: Template, sizes: dict[str, int], *, seed: int) -> MediaWorkflow:
    makes, median_s, deviation, steps, pixels, frames = _OF_KIND[template.modality]
    # A share as a deviation: even between -1.7 and 1.7, which has the deviation 1.
    apart = (2 * share_of(seed, "workflow", template.name) - 1) * 1.7
    return MediaWorkflow(
        name=template.name,
        makes=(makes,),
        usage=template.usage,
        files=tuple(
            MediaFile(name=model.name, kind=_KINDS.get(model.directory, "other"), size_bytes=sizes[model.name])
            for model in {model.name: model for model in template.models}.values()
        ),
        median_s=round(median_s * (1 + deviation) ** apart, 1),
        steps=steps,
        pixels=pixels,
        frames=frames,
    )


def _sizes(templates: list[Template]) -> dict[str, int]:
    found: dict[str, list[float]] = {}
    for template in templates:
        weights = {model.name: _WEIGHTS.get(model.directory, _OTHER_WEIGHT) for model in template.models}
        unit = template.size_bytes / sum(weights.values()) if template.size_bytes else _BYTES_PER_WEIGHT
        for name, weight in weights.items():
            found.setdefault(name, []).append(weight * unit)
    return {name: max(1, round(sum(sizes) / len(sizes))) for name, sizes in found.items()}
