"""Pictures, as the OpenAI-compatible connector asks for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from northstar.domain.workloads import Workload
from northstar.policy.models.workload_of_parts import count_of, named_model, shape_of_parts

#: What is asked of pictures only.
_ONLY_PICTURES: Final = frozenset(
    {
        "background",
        "guidance_scale",
        "negative_prompt",
        "num_inference_steps",
        "output_compression",
        "output_format",
        "quality",
        "size",
        "style",
    }
)
_FORMATS: Final = frozenset({"b64_json", "url"})
_SIZE: Final = re.compile(r"([0-9]{1,5})x([0-9]{1,5})")


def asks_for_pictures(payload: Mapping[str, Any]) -> bool:
    """Whether a payload has what is asked of pictures only.

    >>> asks_for_pictures({"prompt": "A hare", "size": "1024x1024"}), asks_for_pictures({"prompt": "Once", "max_tokens": 9})
    (True, False)
    """
    answer = payload.get("response_format")
    return not _ONLY_PICTURES.isdisjoint(payload) or (isinstance(answer, str) and answer in _FORMATS)


def picture_workload(payload: Mapping[str, Any]) -> Workload:
    """Pictures: `n` of them, one if it is not said."""
    models, odd = named_model(payload.get("model"), kind="other")
    pixels, odd_size = _pixels(payload.get("size"))
    steps, images = count_of(payload.get("num_inference_steps")), count_of(payload.get("n", 1))
    quality = payload.get("quality")
    prompt = payload.get("prompt")
    return Workload(
        modalities=("image",),
        shape=shape_of_parts(
            "pictures",
            *(model.name for model in models),
            f"{pixels} {steps} {images}",
            quality[:32] if isinstance(quality, str) else "",
        ),
        models=models,
        steps=steps,
        pixels=pixels,
        images=images,
        input_chars=len(prompt) if isinstance(prompt, str) else 0,
        unread=(*odd, *odd_size),
    )


def _pixels(size: Any) -> tuple[int, tuple[str, ...]]:
    if size in (None, "auto"):
        return 0, ()
    found = _SIZE.fullmatch(size) if isinstance(size, str) else None
    return (int(found[1]) * int(found[2]), ()) if found else (0, ("`size` is not of the form WIDTHxHEIGHT",))
