"""A job's payload as a request to an OpenAI-compatible engine: what is asked, and only what is allowed to be asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from northstar.connectors.contract import Json
from northstar.connectors.errors import EngineRejected
from northstar.connectors.stated_error import AskedModel

#: Options that every engine of this kind understands or ignores, and that change nothing but this one answer.
ALLOWED_OPTIONS: Final = frozenset(
    {
        "frequency_penalty",
        "ignore_eos",
        "logit_bias",
        "max_completion_tokens",
        "max_tokens",
        "min_p",
        "min_tokens",
        "presence_penalty",
        "reasoning_effort",
        "repeat_penalty",
        "repetition_penalty",
        "response_format",
        "seed",
        "stop",
        "temperature",
        "top_k",
        "top_p",
        "user",
    }
)
_PLACED_BY_US: Final = frozenset({"messages", "prompt", "model", "stream", "stream_options", "n"})


class EngineRequest(msgspec.Struct, frozen=True):
    """Where to post, and what. `model` is the one asked for, if any, and who named it."""

    path: str
    body: Mapping[str, Json]
    model: AskedModel


def text_request(
    payload: Mapping[str, Json], *, service: str, model: str | None = None, extra_options: frozenset[str] = frozenset()
) -> EngineRequest:
    """Make the streaming request that `payload` asks for: `messages` is a chat, `prompt` a completion.

    `model` is what the engine calls its model where the payload names none. `extra_options` are allowed besides
    `ALLOWED_OPTIONS`. A payload may say `stream`; the engine streams in any case.

    Raises:
        EngineRejected: both or neither of messages and prompt, an option that is not allowed, or several answers.
    """
    chat = _is_chat(payload, service=service)
    check_options(payload, _PLACED_BY_US | ALLOWED_OPTIONS | extra_options, service=service)
    if payload.get("n", 1) != 1:
        raise EngineRejected("`n` must be 1: one job is one answer", service=service)
    asked = asked_model(payload, model, service=service)
    body = {key: value for key, value in payload.items() if key not in {"model", "n", "stream", "stream_options"}}
    if asked.name is not None:
        body["model"] = asked.name
    body |= {"stream": True, "stream_options": {"include_usage": True}}
    return EngineRequest("/v1/chat/completions" if chat else "/v1/completions", body, asked)


def check_options(payload: Mapping[str, Json], allowed: frozenset[str], *, service: str) -> None:
    """Refuse what nobody has allowed.

    Raises:
        EngineRejected: with the names.
    """
    unknown = sorted(set(payload) - allowed)
    if unknown:
        raise EngineRejected(f"options not allowed here: {', '.join(map(repr, unknown[:10]))}", service=service)


def asked_model(payload: Mapping[str, Json], model: str | None, *, service: str) -> AskedModel:
    """The model that a payload names, else the machine's own.

    Raises:
        EngineRejected: `model` is no text.
    """
    name = payload.get("model")
    if name is not None and (not isinstance(name, str) or not name):
        raise EngineRejected("`model` must be a string that is not empty", service=service)
    return AskedModel(name or model, by_job=name is not None)


def _is_chat(payload: Mapping[str, Json], *, service: str) -> bool:
    if ("messages" in payload) == ("prompt" in payload):
        raise EngineRejected("give exactly one of `messages` and `prompt`", service=service)
    if "prompt" in payload:
        if not isinstance(payload["prompt"], str) or not payload["prompt"]:
            raise EngineRejected("`prompt` must be a string that is not empty", service=service)
        return False
    messages = payload["messages"]
    if not isinstance(messages, list) or not messages or not all(isinstance(message, dict) for message in messages):
        raise EngineRejected("`messages` must be a list of objects that is not empty", service=service)
    return True
