"""The answer of an OpenAI-compatible engine: chunks in, verified text out, errors by class wherever they hide."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from northstar.connectors.contract import Json
from northstar.connectors.errors import (
    EmptyOutput,
    EngineBusy,
    EngineError,
    EngineFailed,
    EngineRejected,
    EngineTimeout,
    MalformedAnswer,
    OutputTooLarge,
)
from northstar.connectors.sse import EventStream, EventTooLong, ServerSentEvent

_BUSY: Final = frozenset({429, 503, 529})
_SLOW: Final = frozenset({408, 504})
_ELSEWHERE: Final = range(300, 400)
_MESSAGE_CHARS: Final = 500
_COUNTS: Final = ("prompt_tokens", "completion_tokens", "total_tokens")


class _Delta(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    text: str | None = None
    finish_reason: str | None = None
    index: int = 0


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: dict[str, Json] | None = None
    model: str | None = None
    error: Json = None


class Answer:
    """Collects one streamed answer. Thoughts of a reasoning model count as life and as size, not as text."""

    def __init__(self, *, service: str, max_bytes: int) -> None:
        """`max_bytes` bounds text and thoughts together, in UTF-8."""
        self._service = service
        self._max_bytes = max_bytes
        self._events = EventStream()
        self._pieces: list[str] = []
        self._size_bytes = 0
        self.finish_reason: str | None = None
        self.usage: dict[str, int] = {}
        self.model: str | None = None
        self.done = False
        #: Pieces that carried text or thoughts: what the patience between two tokens is measured by.
        self.pieces_seen = 0

    def feed(self, chunk: bytes) -> Iterator[str]:
        """Take bytes from the engine; give the text that they carry.

        Raises:
            EngineError: the stream carries an error, breaks the protocol, or grows too large.
        """
        try:
            for event in self._events.feed(chunk):
                if self.done:
                    return
                yield from self._take(event)
        except EventTooLong as error:
            raise MalformedAnswer(str(error), service=self._service) from error

    def text(self) -> str:
        """The verified text of a stream that has ended.

        Raises:
            MalformedAnswer: the stream ended in the middle.
            EmptyOutput: it ended well without a word.
        """
        if self.finish_reason is None:
            raise MalformedAnswer("the stream ended before a finish_reason", service=self._service)
        text = "".join(self._pieces)
        if not text.strip():
            raise EmptyOutput(f"the text (finish_reason {self.finish_reason!r})", service=self._service)
        return text

    def _take(self, event: ServerSentEvent) -> Iterator[str]:
        if event.data.strip() == "[DONE]":
            self.done = True
            return
        chunk = self._decoded(event)
        if chunk.error is not None or event.name == "error":
            raise stated_error(event.data, status=None, service=self._service)
        self.model = chunk.model or self.model
        if chunk.usage:
            self.usage = {
                key: chunk.usage[key]
                for key in _COUNTS
                if isinstance(chunk.usage.get(key), int) and chunk.usage[key] >= 0
            }
        for choice in chunk.choices or ():
            if choice.index == 0:
                yield from self._piece(choice)

    def _decoded(self, event: ServerSentEvent) -> _Chunk:
        try:
            return msgspec.json.decode(event.data, type=_Chunk)
        except msgspec.MsgspecError as error:
            if event.name == "error":
                return _Chunk(error=event.data)
            raise MalformedAnswer(f"a chunk that is no completion chunk: {error}", service=self._service) from error

    def _piece(self, choice: _Choice) -> Iterator[str]:
        delta = choice.delta or _Delta()
        text = choice.text or delta.content or ""
        thought = delta.reasoning_content or delta.reasoning or ""
        if text or thought:
            self.pieces_seen += 1
        self._size_bytes += len(text.encode(errors="surrogatepass")) + len(thought.encode(errors="surrogatepass"))
        if self._size_bytes > self._max_bytes:
            raise OutputTooLarge("the text", service=self._service, limit_bytes=self._max_bytes)
        if choice.finish_reason:
            self.finish_reason = choice.finish_reason
        if text:
            self._pieces.append(text)
            yield text


def stated_error(body: str, *, status: int | None, service: str, retry_after_s: float | None = None) -> EngineError:
    """The error that an engine states, by its number: of the error object, else of HTTP. The words are only quoted."""
    number, message = _number_and_message(body)
    if status is not None and (number is None or status != 200):
        number = status
    reason = f"{number or 'no number'}: {message or 'no message'}"
    if number in _BUSY:
        return EngineBusy(reason, service=service, retry_after_s=retry_after_s)
    if number in _SLOW:
        return EngineTimeout(f"answer ({reason})", service=service, limit_s=None)
    if number in _ELSEWHERE:
        return MalformedAnswer(f"a redirect, {reason}", service=service)
    if number is not None and 400 <= number < 500:
        return EngineRejected(reason, service=service)
    return EngineFailed(reason, service=service)


def states_error(body: str) -> bool:
    """Whether a body is a JSON object with an `error` in it."""
    try:
        parsed: Json = msgspec.json.decode(body)
    except msgspec.MsgspecError:
        return False
    return isinstance(parsed, dict) and parsed.get("error") is not None


def _number_and_message(body: str) -> tuple[int | None, str]:
    try:
        parsed: Json = msgspec.json.decode(body)
    except msgspec.MsgspecError:
        return None, body.strip()[:_MESSAGE_CHARS]
    found = parsed.get("error", parsed) if isinstance(parsed, dict) else parsed
    if not isinstance(found, dict):
        return None, str(found)[:_MESSAGE_CHARS]
    number = found.get("code")
    if isinstance(number, str) and number.isascii() and number.isdigit() and len(number) == 3:
        number = int(number)
    valid = isinstance(number, int) and 100 <= number < 600
    return (number if valid else None), str(found.get("message", ""))[:_MESSAGE_CHARS]
