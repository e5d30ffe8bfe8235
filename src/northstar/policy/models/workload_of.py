"""What a job's payload says about the work, whichever engine it is for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from northstar.domain.workloads import Workload
from northstar.policy.models.comfyui_graph_workload import comfyui_workload, is_saved_workflow
from northstar.policy.models.workload_of_pictures import asks_for_pictures, picture_workload
from northstar.policy.models.workload_of_program import program_workload, simulated_workload
from northstar.policy.models.workload_of_text import (
    chat_workload,
    completion_workload,
    embedding_workload,
    unclear_workload,
)

_Reader = Callable[[Mapping[str, Any]], Workload]

#: Engines that take one kind of text after another and nothing else.
_TEXT_ENGINES: Final = frozenset({"ollama", "llama.cpp", "vllm", "tensorrt-llm"})


def workload_of(service: str, payload: Mapping[str, Any], *, kind: str = "") -> Workload:
    """Read a payload as the engine will. `kind` is that of the engine (`EngineFacts.kind`); without it the payload's form decides.

    Nothing is raised, whatever the payload is: an engine refuses what it cannot use, and says why. What could not be read stands in
    `unread`. The same payload always gives the same workload, so callers may keep it.

    >>> workload_of("text", {"messages": [{"role": "user", "content": "Tell me"}], "max_tokens": 64}, kind="vllm").tokens
    64
    >>> workload_of("paint", {"width": 480, "height": 320, "steps": 20}, kind="command").pixels
    153600
    """
    match kind:
        case "comfyui":
            return _comfyui(payload)
        case "command":
            return program_workload(service, payload)
        case "simulated":
            # A simulated engine takes any payload, so that it can stand in for any other.
            reader = _by_form(payload)
            return simulated_workload(service, payload, like=reader(payload) if reader is not None else None)
        case "openai":
            reader = _by_form(payload)
            other = unclear_workload if isinstance(payload.get("prompt"), str) else partial(program_workload, service)
            return (reader or other)(payload)
        case _:
            reader = _by_form(payload, is_text=kind in _TEXT_ENGINES)
            return reader(payload) if reader is not None else program_workload(service, payload)


def _by_form(payload: Mapping[str, Any], *, is_text: bool = False) -> _Reader | None:
    """Who reads a payload, by what it has; None if it has nothing that tells."""
    if not is_text and (is_graph(payload.get("prompt")) or is_graph(payload)):
        return _comfyui
    if isinstance(payload.get("messages"), list):
        return chat_workload
    if isinstance(payload.get("input"), str | list):
        return embedding_workload
    if not isinstance(payload.get("prompt"), str):
        return None
    if not is_text and asks_for_pictures(payload):
        return picture_workload
    return completion_workload if is_text or _has_limit(payload) else None


def _has_limit(payload: Mapping[str, Any]) -> bool:
    """Whether a prompt comes with what only engines of texts are told."""
    return bool({"max_tokens", "max_completion_tokens", "min_tokens", "stop", "options", "suffix"} & set(payload))


def is_graph(found: Any) -> bool:
    """Whether something looks like a graph of ComfyUI, in either format."""
    if not isinstance(found, Mapping) or not found:
        return False
    if is_saved_workflow(found):
        return True
    first = next(iter(found.values()))
    return isinstance(first, Mapping) and "class_type" in first


def _comfyui(payload: Mapping[str, Any]) -> Workload:
    bare = "prompt" not in payload and is_graph(payload)
    return comfyui_workload(payload if bare else payload.get("prompt"), extra_data=payload.get("extra_data"))
