"""What an engine says of itself, whatever its kind."""

from __future__ import annotations

from typing import Annotated

import msgspec

from northstar.domain.models import ModelHeld
from northstar.domain.requirements import Word


class EngineFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One engine at one moment. What an engine cannot tell stays empty; an empty answer is never made up."""

    #: What kind of engine answers: comfyui, ollama, llama.cpp, vllm, tensorrt-llm, openai, command, simulated.
    kind: str
    #: Its own words for its version; empty if it does not say.
    version: str = ""
    #: ComfyUI node packs that are installed, as words that a job may ask for.
    node_packs: tuple[Word, ...] = ()
    #: How many node classes it knows, and a digest of their names: engines with equal digests run the same graphs.
    node_classes: Annotated[int, msgspec.Meta(ge=0)] = 0
    node_classes_digest: str = ""
    #: The names themselves.
    node_class_names: frozenset[str] = frozenset()
    #: Models that it can serve, by the names that jobs use; anchors (large models) come first.
    models: tuple[ModelHeld, ...] = ()
    #: Whether the states of `models` say which are in memory. Otherwise that has to be estimated from what jobs used.
    tells_residency: bool = False
