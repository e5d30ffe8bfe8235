"""A job's payload as a request to Ollama: what is asked, and only what is allowed to be asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

import msgspec

from northstar.connectors.contract import Json
from northstar.connectors.errors import EngineRejected, ModelUnknown
from northstar.connectors.openai_embeddings import checked_inputs
from northstar.connectors.openai_request import check_options
from northstar.connectors.stated_error import AskedModel

Kind: TypeAlias = Literal["chat", "generate", "embed"]

#: Keys of `options` that change nothing but this one answer; others load the model anew or move it between devices.
ALLOWED_OPTIONS: Final = frozenset(
    {
        "frequency_penalty",
        "min_p",
        "mirostat",
        "mirostat_eta",
        "mirostat_tau",
        "num_predict",
        "presence_penalty",
        "repeat_last_n",
        "repeat_penalty",
        "seed",
        "stop",
        "temperature",
        "top_k",
        "top_p",
        "typical_p",
    }
)
_KEYS: Final[dict[Kind, frozenset[str]]] = {
    "chat": frozenset({"messages", "format", "think"}),
    "generate": frozenset({"prompt", "format", "think", "system", "suffix", "raw", "images"}),
    "embed": frozenset({"input", "dimensions"}),
}
_EVERYWHERE: Final = frozenset({"model", "options", "stream", "truncate"})


class OllamaRequest(msgspec.Struct, frozen=True):
    """Where to post, and what."""

    kind: Kind
    model: AskedModel
    body: Mapping[str, Json]

    @property
    def path(self) -> str:
        """The address of this kind of request."""
        return f"/api/{self.kind}"

    @property
    def model_name(self) -> str:
        """The model as it was asked for."""
        return self.model.name or ""


class OllamaOffer(msgspec.Struct, frozen=True, kw_only=True):
    """What the settings allow jobs to ask for."""

    model: str
    other_models: tuple[str, ...] = ()
    keep_alive: str | int = "5m"
    extra_options: frozenset[str] = frozenset()


def ollama_request(payload: Mapping[str, Json], offer: OllamaOffer, *, service: str) -> OllamaRequest:
    """Make the request: `messages` is a chat, `prompt` a completion, `input` asks for vectors.

    Raises:
        EngineRejected: not exactly one of the three, or a key or option that is not allowed.
        ModelUnknown: a model that the settings do not offer.
    """
    kind = _kind(payload, service=service)
    check_options(payload, _KEYS[kind] | _EVERYWHERE, service=service)
    options = payload.get("options", {})
    if not isinstance(options, dict):
        raise EngineRejected("`options` must be an object", service=service)
    check_options(options, ALLOWED_OPTIONS | offer.extra_options, service=service)
    model = _model(payload, offer, service=service)
    body = {key: value for key, value in payload.items() if key != "stream"}
    body |= {"model": model.name, "keep_alive": offer.keep_alive}
    # Ollama would cut too long a text silently; an answer to half of it, or its vector, is a wrong one.
    body |= {"truncate": payload.get("truncate", False)} | ({} if kind == "embed" else {"stream": True})
    return OllamaRequest(kind, model, body)


def full_name(model: str) -> str:
    """A model's name with its tag.

    >>> full_name("llama3.2"), full_name("llama3.2:1b")
    ('llama3.2:latest', 'llama3.2:1b')
    """
    return model if ":" in model.rpartition("/")[2] else f"{model}:latest"


def _kind(payload: Mapping[str, Json], *, service: str) -> Kind:
    asked = [key for key in ("messages", "prompt", "input") if key in payload]
    if len(asked) != 1:
        raise EngineRejected("give exactly one of `messages`, `prompt` and `input`", service=service)
    if asked == ["input"]:
        checked_inputs(payload, service=service)
        return "embed"
    if asked == ["prompt"]:
        if not isinstance(payload["prompt"], str) or not payload["prompt"]:
            raise EngineRejected("`prompt` must be a string that is not empty", service=service)
        return "generate"
    messages = payload["messages"]
    if not isinstance(messages, list) or not messages or not all(isinstance(message, dict) for message in messages):
        raise EngineRejected("`messages` must be a list of objects that is not empty", service=service)
    return "chat"


def _model(payload: Mapping[str, Json], offer: OllamaOffer, *, service: str) -> AskedModel:
    name = payload.get("model", offer.model)
    if not isinstance(name, str) or not name:
        raise EngineRejected("`model` must be a string that is not empty", service=service)
    if full_name(name) == full_name(offer.model):
        return AskedModel(offer.model)
    if full_name(name) in map(full_name, offer.other_models):
        return AskedModel(name)
    raise ModelUnknown(name, service=service, reason="offered are " + ", ".join((offer.model, *offer.other_models)))
