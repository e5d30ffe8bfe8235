"""What an OpenAI-compatible engine says of itself before it is asked to work: its health, and its models."""

from __future__ import annotations

from typing import Final

import msgspec

from northstar.connectors.engine_http import EngineHttp
from northstar.connectors.errors import ModelMissing

_LIST_BYTES: Final = 4 * 1024 * 1024
#: Engines without this address, or that keep it to themselves, are judged by their work alone.
_NO_ANSWER: Final = frozenset({401, 403, 404, 405})


class _Model(msgspec.Struct):
    id: str
    owned_by: str = ""


class _Models(msgspec.Struct):
    data: list[_Model]


async def check_health(http: EngineHttp) -> None:
    """Ask `/health`, which llama.cpp, vLLM and trtllm-serve have; its body differs and is not looked at.

    Raises:
        EngineError: the engine says that it is not well; `EngineBusy` while it loads (503).
    """
    async with http.got("/health") as response:
        if response.status == 200 or response.status in _NO_ANSWER:
            return
        refusal = await http.refusal_of(response, expected="application/json")
        if refusal is not None:
            raise refusal


async def check_model(http: EngineHttp, model: str, *, service: str) -> None:
    """Whether `/v1/models` lists the model. llama.cpp serves its one model under every name, so there any name is right.

    Raises:
        ModelMissing: there is such a list, and the model is not on it.
        EngineError: the engine could not answer.
    """
    async with http.got("/v1/models") as response:
        if response.status != 200:
            return  # the warm-up will tell
        body = await http.body_of(response, what="the list of models", max_bytes=_LIST_BYTES)
    try:
        listed = msgspec.json.decode(body, type=_Models).data
    except msgspec.MsgspecError:
        return
    if not listed or any(one.id == model or one.owned_by == "llamacpp" for one in listed):
        return
    raise ModelMissing(model, service=service, found=tuple(one.id for one in listed))
