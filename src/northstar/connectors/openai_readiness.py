"""What an OpenAI-compatible engine says of itself before it is asked to work: its health, and its models."""

from __future__ import annotations

from typing import Final

import msgspec

from northstar.connectors.contract import Json
from northstar.connectors.engine_http import EngineHttp
from northstar.connectors.errors import ModelMissing
from northstar.connectors.waiting import bounded

#: What an engine says of itself needs no model; one that takes longer is not well.
_WITHIN_S: Final = 30.0
_LIST_BYTES: Final = 4 * 1024 * 1024
#: Engines without this address, or that keep it to themselves, are judged by their work alone.
_NO_ANSWER: Final = frozenset({401, 403, 404, 405})


class ListedModel(msgspec.Struct):
    """An entry of `/v1/models`. `meta` (llama.cpp) and `status` (engines that load and unload) are as they come."""

    id: str
    owned_by: str = ""
    meta: Json = None
    status: Json = None


class _Models(msgspec.Struct):
    data: list[ListedModel]


async def check_health(http: EngineHttp, *, service: str) -> None:
    """Ask `/health`, which llama.cpp, vLLM and trtllm-serve have; its body differs and is not looked at.

    Raises:
        EngineError: the engine says that it is not well; `EngineBusy` while it loads (503).
    """
    await bounded(_check_health(http), service=service, patience_s=_WITHIN_S, awaited="answer to /health")


async def check_model(http: EngineHttp, model: str, *, service: str) -> None:
    """Whether `/v1/models` lists the model. llama.cpp serves its one model under every name, so there any name is right.

    Raises:
        ModelMissing: there is such a list, and the model is not on it.
        EngineError: the engine could not answer.
    """
    listed = await bounded(listed_models(http), service=service, patience_s=_WITHIN_S, awaited="answer to /v1/models")
    if not listed or any(one.id == model or one.owned_by == "llamacpp" for one in listed):
        return
    raise ModelMissing(model, service=service, found=tuple(one.id for one in listed))


async def _check_health(http: EngineHttp) -> None:
    async with http.got("/health") as response:
        if response.status == 200 or response.status in _NO_ANSWER:
            return
        refusal = await http.refusal_of(response, expected="application/json")
        if refusal is not None:
            raise refusal


async def listed_models(http: EngineHttp) -> list[ListedModel]:
    """The models that the engine lists; none where it has no such list, and the warm-up will tell."""
    async with http.got("/v1/models") as response:
        if response.status != 200:
            return []
        body = await http.body_of(response, what="the list of models", max_bytes=_LIST_BYTES)
    try:
        return msgspec.json.decode(body, type=_Models).data
    except msgspec.MsgspecError:
        return []
