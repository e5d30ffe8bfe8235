"""What an OpenAI-compatible engine says of itself: its kind, its version, and the models that it serves."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from northstar.connectors.engine_http import EngineHttp
from northstar.connectors.openai_readiness import ListedModel, listed_models
from northstar.connectors.waiting import bounded
from northstar.domain.engine_facts import EngineFacts
from northstar.domain.models import ModelHeld

#: What an engine says of itself needs no model; one that takes longer is not well.
_WITHIN_S: Final = 30.0
#: llama.cpp's properties hold its whole chat template.
_ANSWER_BYTES: Final = 4 * 1024 * 1024
#: Engines by how they sign their models.
_KINDS: Final = {"llamacpp": "llama.cpp", "vllm": "vllm", "tensorrt_llm": "tensorrt-llm", "sglang": "sglang"}
#: States of a model, of engines that load and unload them, in which it is not in memory.
_NOT_LOADED: Final = frozenset({"unloaded", "loading", "failed", "sleeping"})


class _Version(msgspec.Struct):
    """`/version` of vLLM and trtllm-serve, or `/props` of llama.cpp."""

    version: Any = None
    build_info: Any = None


async def engine_facts(http: EngineHttp, *, service: str, model: str | None) -> EngineFacts:
    """What the engine says. `model` is the one that the service asks for; None: whatever the engine lists is offered.

    What is listed is in memory, unless the engine says otherwise of it. Of an engine that has no such addresses nothing is known.

    Raises:
        EngineError: the engine does not answer.
    """
    return await bounded(
        _engine_facts(http, model), service=service, patience_s=_WITHIN_S, awaited="answer about the engine"
    )


async def _engine_facts(http: EngineHttp, model: str | None) -> EngineFacts:
    listed = await listed_models(http)
    version = await _version(http, "/version") or await _version(http, "/props")
    kind = next((known for one in listed if (known := _KINDS.get(one.owned_by))), "openai")
    models = tuple(_held(one) for one in listed)
    if model is not None:
        # llama.cpp serves its one model under every name, so the name that the settings use is the one that jobs know.
        chosen = [held for held in models if held.name == model] or (models if kind == "llama.cpp" else ())
        models = tuple(ModelHeld(model, held.state, held.size_bytes) for held in chosen[:1])
    return EngineFacts(kind=kind, version=version, models=models, tells_residency=bool(listed))


def _held(one: ListedModel) -> ModelHeld:
    # A model without a name of its own is called by its file's path, which is nobody else's business.
    name = one.id.rpartition("/")[2] if one.id.startswith("/") else one.id
    size = one.meta.get("size") if isinstance(one.meta, dict) else None
    state = one.status.get("value") if isinstance(one.status, dict) else None
    size_bytes = size if isinstance(size, int) and size > 0 else 0
    return ModelHeld(name, "disk" if state in _NOT_LOADED else "resident", size_bytes)


async def _version(http: EngineHttp, path: str) -> str:
    """The version that an address tells; empty where there is no such address, or it tells something else."""
    async with http.got(path) as response:
        if response.status != 200 or response.content_type != "application/json":
            return ""
        body = await http.body_of(response, what=f"the answer to {path}", max_bytes=_ANSWER_BYTES)
    try:
        said = msgspec.json.decode(body, type=_Version)
    except msgspec.MsgspecError:
        return ""
    return next((text for text in (said.version, said.build_info) if isinstance(text, str)), "")
