"""Payloads of programs and of simulated engines: whatever they are, plain numbers under the usual names are taken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from northstar.domain.workloads import ModelUse, Workload
from northstar.policy.models.workload_of_hints import hints_of
from northstar.policy.models.workload_of_parts import count_of, named_model, shape_of_parts

_STEPS: Final = ("steps", "num_inference_steps")
_FRAMES: Final = ("frames", "num_frames")
_IMAGES: Final = ("count", "batch_size", "num_images", "n")
_TOKENS: Final = ("max_tokens",)
#: Numbers that make jobs of one program alike or not, beside those above; of `duration` nobody knows the unit.
_OF_SHAPE: Final = ("width", "height", "duration", "duration_s", "fps", "scale", *_STEPS, *_FRAMES, *_IMAGES, *_TOKENS)


def program_workload(service: str, payload: Mapping[str, Any]) -> Workload:
    """Read the payload of a program. What it makes is only known if its sender says it in hints.

    >>> program_workload("paint", {"prompt": "a hare", "count": 2, "steps": "many"}).images
    2
    """
    hints = hints_of(payload)
    return Workload(
        modalities=hints.modalities,
        shape=_shape(service, payload),
        steps=_first(payload, _STEPS),
        pixels=count_of(count_of(payload.get("width")) * count_of(payload.get("height"))),
        frames=_first(payload, _FRAMES),
        images=_first(payload, _IMAGES),
        tokens=_first(payload, _TOKENS),
        speciality=hints.speciality,
        is_training=hints.is_training,
        is_experimental=hints.is_experimental,
        unread=hints.unread,
    )


def simulated_workload(service: str, payload: Mapping[str, Any], *, like: Workload | None) -> Workload:
    """Read what a simulated engine is asked. `like` is the payload as the engine would read it for which the simulation stands in."""
    instruction = payload.get("simulate")
    run_s = instruction.get("run_s") if isinstance(instruction, Mapping) else None
    base = program_workload(service, payload) if like is None else like
    models, odd = named_model(payload.get("model"), kind="other")
    named = {model.name for model in base.models}
    shape = [base.shape, *(model.name for model in models)]
    if isinstance(run_s, int | float) and not isinstance(run_s, bool):
        shape.append(f"{run_s:.4g} s")
    return msgspec.structs.replace(
        base,
        shape=shape_of_parts(service, *shape) if any(shape) else "",
        models=(*base.models, *(ModelUse(model.name, "other") for model in models if model.name not in named)),
        steps=count_of(payload.get("steps")) or base.steps,
        unread=tuple(dict.fromkeys((*base.unread, *odd))),
    )


def _first(payload: Mapping[str, Any], names: tuple[str, ...]) -> int:
    return next((found for name in names if (found := count_of(payload.get(name)))), 0)


def _shape(service: str, payload: Mapping[str, Any]) -> str:
    """Equal for jobs of one program with equal numbers; empty if there are none, since then nothing tells jobs apart."""
    parts = [
        f"{name}={value:.6g}"
        for name in _OF_SHAPE
        if isinstance(value := payload.get(name), int | float) and not isinstance(value, bool) and abs(value) <= 1e15
    ]
    return shape_of_parts(service, *parts) if parts else ""
