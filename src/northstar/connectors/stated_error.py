"""The error that an engine states, by its numbers and type names. Its words are quoted for people and decide nothing.

What engines of this kind send, from their own sources:

- llama.cpp: `{"error": {"code": 400, "type": "exceed_context_size_error", "message": …, "n_prompt_tokens": …, "n_ctx": …}}`
- vLLM: `{"error": {"code": 404, "type": "NotFoundError", "param": "model", …}}`; too long a prompt has `param: "input_tokens"`;
  an address that it does not know gives FastAPI's `{"detail": "Not Found"}`
- trtllm-serve: the same object without the `error` around it (`object: "error"`), or `{"error": "text"}` for a bad body
- OpenAI: `code: "context_length_exceeded"`, `code: "model_not_found"`
- Ollama: `{"error": "text"}`
"""

from __future__ import annotations

from typing import Final

import msgspec

from northstar.connectors.contract import Json
from northstar.connectors.errors import (
    ContextExceeded,
    EngineBusy,
    EngineError,
    EngineFailed,
    EngineMisconfigured,
    EngineRejected,
    EngineTimeout,
    MalformedAnswer,
    ModelMissing,
    ModelUnknown,
)

_BUSY: Final = frozenset({429, 503, 529})
_SLOW: Final = frozenset({408, 504})
_NOT_FOR_US: Final = frozenset({401, 403, 404, 405})
_ELSEWHERE: Final = range(300, 400)
_MESSAGE_CHARS: Final = 500
_TOO_LONG_TYPES: Final = frozenset({"exceed_context_size_error", "context_length_exceeded"})
_NO_MODEL_TYPES: Final = frozenset({"NotFoundError", "model_not_found"})


class AskedModel(msgspec.Struct, frozen=True):
    """The model that a request asked for, and whether the job or the machine's settings named it."""

    name: str | None = None
    by_job: bool = False

    def missing(self, *, service: str, reason: str) -> EngineError:
        """The error for an engine that has not got it."""
        if self.by_job and self.name:
            return ModelUnknown(self.name, service=service, reason=reason)
        return ModelMissing(self.name or "(the engine's own)", service=service)


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine says about a failure; everything but the message is made for programs."""

    number: int | None = None
    kind: str = ""
    code: str = ""
    parameter: str = ""
    message: str = ""
    needed: int | None = None
    available: int | None = None
    bare: bool = False  # `error` is a mere text

    @property
    def says_too_long(self) -> bool:
        """The prompt has more tokens than the model takes."""
        return bool({self.kind, self.code} & _TOO_LONG_TYPES) or self.parameter == "input_tokens"

    @property
    def says_no_model(self) -> bool:
        """The model is not known, as opposed to an address that is not."""
        return bool({self.kind, self.code} & _NO_MODEL_TYPES)


def statement_of(body: str) -> Statement:
    """Read an error body of any of these engines; text that is no JSON becomes the message."""
    try:
        parsed: Json = msgspec.json.decode(body)
    except msgspec.MsgspecError:
        return Statement(message=body.strip()[:_MESSAGE_CHARS])
    found = parsed.get("error", parsed) if isinstance(parsed, dict) else parsed
    if not isinstance(found, dict):
        return Statement(message=str(found)[:_MESSAGE_CHARS], bare=isinstance(found, str))
    return Statement(
        number=_number(found.get("code")),
        kind=_word(found.get("type")),
        code=_word(found.get("code")),
        parameter=_word(found.get("param")),
        message=str(found.get("message") or found.get("detail") or "")[:_MESSAGE_CHARS],
        needed=_count(found.get("n_prompt_tokens")),
        available=_count(found.get("n_ctx")),
    )


def stated_error(
    body: str,
    *,
    status: int | None,
    service: str,
    retry_after_s: float | None = None,
    model: AskedModel | None = None,
) -> EngineError:
    """The error of a body. `status` is HTTP's; None inside a stream that began well, 200 in an answer that lied."""
    said = statement_of(body)
    number = said.number if status is None or (status == 200 and said.number is not None) else status
    reason = f"{number or 'no number'}: {said.message or 'no message'}"
    if number is not None and 400 <= number < 500:
        if said.says_too_long:
            return ContextExceeded(reason, service=service, needed=said.needed, available=said.available)
        if said.says_no_model or (number == 404 and said.bare):  # the second is Ollama's only 404 with JSON in it
            return (model or AskedModel()).missing(service=service, reason=reason)
    return _by_number(number, reason, service=service, retry_after_s=retry_after_s)


def _by_number(number: int | None, reason: str, *, service: str, retry_after_s: float | None) -> EngineError:
    if number in _BUSY:
        return EngineBusy(reason, service=service, retry_after_s=retry_after_s)
    if number in _SLOW:
        return EngineTimeout(f"answer ({reason})", service=service, limit_s=None)
    if number in _ELSEWHERE:
        return MalformedAnswer(f"a redirect, {reason}", service=service)
    if number in _NOT_FOR_US:
        return EngineMisconfigured(reason, service=service)
    if number is not None and 400 <= number < 500:
        return EngineRejected(reason, service=service)
    return EngineFailed(reason, service=service)


def states_error(body: str) -> bool:
    """Whether a body is a JSON object that is an error, or has one in it."""
    try:
        parsed: Json = msgspec.json.decode(body)
    except msgspec.MsgspecError:
        return False
    return isinstance(parsed, dict) and (parsed.get("error") is not None or parsed.get("object") == "error")


def _number(code: Json) -> int | None:
    if isinstance(code, str) and code.isascii() and code.isdigit() and len(code) == 3:
        code = int(code)
    return code if isinstance(code, int) and 100 <= code < 600 else None


def _word(value: Json) -> str:
    return value[:64] if isinstance(value, str) else ""


def _count(value: Json) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None
