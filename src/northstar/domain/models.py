"""Models as jobs ask for them."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

ModelName = Annotated[str, msgspec.Meta(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f]+$")]
ModelKind = Literal[
    "checkpoint",
    "diffusion_model",
    "llm",
    "vae",
    "text_encoder",
    "controlnet",
    "upscaler",
    "lora",
    "embedding",
    "other",
]

#: Adapters are small beside what they adapt: they count as bytes in the choice of a machine, not as a lane of their own.
ADAPTERS: frozenset[str] = frozenset({"lora", "embedding"})


class ModelNeed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, order=True):
    """A model file that a job cannot run without."""

    name: ModelName
    kind: ModelKind = "checkpoint"
    size_bytes: Annotated[int, msgspec.Meta(ge=0, le=10_000_000_000_000)] = 0

    @property
    def is_anchor(self) -> bool:
        """Whether it decides where a job can start soon (large, slow to fetch)."""
        return self.kind not in ADAPTERS


class ModelHeld(msgspec.Struct, frozen=True, array_like=True):
    """A model on a machine: `resident` in engine memory, or on `disk`."""

    name: str
    state: Literal["resident", "disk"]
    size_bytes: int = 0
