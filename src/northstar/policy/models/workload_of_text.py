"""Chats, completions and embeddings, as the OpenAI-compatible connectors and the one of Ollama read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from northstar.domain.workloads import ModelUse, Workload
from northstar.policy.models.workload_of_parts import count_of, named_model, shape_of_parts

#: Messages, parts and texts that are counted; more are a payload that no engine takes.
_MAX_PARTS: Final = 10_000
_NOT_READ: Final = "what the payload asks cannot be read as texts"


def chat_workload(payload: Mapping[str, Any]) -> Workload:
    """A conversation under `messages`."""
    messages = payload.get("messages")
    listed = messages if isinstance(messages, list) else []
    chars = sum(_chars(message.get("content")) for message in listed[:_MAX_PARTS] if isinstance(message, Mapping))
    return _text("chat", payload, chars=chars, is_read=bool(listed))


def completion_workload(payload: Mapping[str, Any]) -> Workload:
    """A text under `prompt` that is carried on."""
    prompt = payload.get("prompt")
    chars = _chars(prompt) + _chars(payload.get("system")) + _chars(payload.get("suffix"))
    return _text("completion", payload, chars=chars, is_read=isinstance(prompt, str))


def embedding_workload(payload: Mapping[str, Any]) -> Workload:
    """One text or several under `input`, to be made vectors."""
    given = payload.get("input")
    texts = [given] if isinstance(given, str) else given if isinstance(given, list) else []
    chars = sum(len(text) for text in texts[:_MAX_PARTS] if isinstance(text, str))
    models, odd = named_model(payload.get("model"), kind="llm")
    size = (f"{len(texts).bit_length()}", f"{chars.bit_length()}")
    return Workload(
        modalities=("embedding",),
        shape=shape_of_parts("embedding", *(model.name for model in models), *size),
        models=models,
        input_chars=chars,
        unread=(*odd, *(() if texts else (_NOT_READ,))),
    )


def unclear_workload(payload: Mapping[str, Any]) -> Workload:
    """A `prompt` of which nothing tells whether a text or a picture is asked for."""
    read = completion_workload(payload)
    return msgspec.structs.replace(
        read,
        modalities=(),
        models=tuple(ModelUse(model.name, "other") for model in read.models),
        unread=(*read.unread, "nothing in the payload tells whether it asks for a text or for a picture"),
    )


def _text(form: str, payload: Mapping[str, Any], *, chars: int, is_read: bool) -> Workload:
    models, odd = named_model(payload.get("model"), kind="llm")
    tokens = _limit(payload)
    # Texts take a time that grows with their lengths: within a factor of two they count as alike.
    size = (f"{tokens.bit_length()}", f"{chars.bit_length()}")
    return Workload(
        modalities=("text",),
        shape=shape_of_parts(form, *(model.name for model in models), *size),
        models=models,
        tokens=tokens,
        input_chars=chars,
        unread=(*odd, *(() if is_read else (_NOT_READ,))),
    )


def _limit(payload: Mapping[str, Any]) -> int:
    """Tokens that may be made at most; 0 if the payload leaves it to the engine. OpenAI's newer word goes before the older."""
    options = payload.get("options")
    said = [payload.get("max_completion_tokens"), payload.get("max_tokens")]
    said += [options.get("num_predict")] if isinstance(options, Mapping) else []
    return next((found for value in said if (found := count_of(value))), 0)


def _chars(content: Any) -> int:
    """Letters of a content: a text, or parts of which some are texts."""
    if isinstance(content, str):
        return len(content)
    return sum(map(len, _texts(content[:_MAX_PARTS]))) if isinstance(content, list) else 0


def _texts(parts: Iterable[Any]) -> Iterable[str]:
    for part in parts:
        if isinstance(part, Mapping) and isinstance(text := part.get("text"), str):
            yield text
