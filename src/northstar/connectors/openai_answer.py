"""The answer of an OpenAI-compatible engine: chunks in, verified text out, errors by class wherever they hide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from northstar.connectors.contract import Json
from northstar.connectors.errors import CutShort, EmptyOutput, MalformedAnswer, OutputTooLarge
from northstar.connectors.stated_error import AskedModel, stated_error
from northstar.domain.event_stream import EventStream, EventTooLong, ServerSentEvent

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
    object: str | None = None


def counts_of(usage: Mapping[str, Json]) -> dict[str, int]:
    """The counts of tokens that an engine reports, as far as they are counts."""
    return {key: usage[key] for key in _COUNTS if isinstance(usage.get(key), int) and usage[key] >= 0}


class Answer:
    """Collects one streamed answer. Thoughts of a reasoning model count as life and as size, not as text."""

    def __init__(self, *, service: str, max_bytes: int, model: AskedModel | None = None) -> None:
        """`max_bytes` bounds text and thoughts together, in UTF-8. `model` is what was asked for."""
        self._service = service
        self._asked = model
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

    def end(self) -> Iterator[str]:
        """The stream has ended; an event that was not finished does not count."""
        return iter(())

    def text(self) -> str:
        """The verified text of a stream that has ended.

        Raises:
            MalformedAnswer: the stream ended in the middle.
            EmptyOutput: it ended well without a word. CutShort: because no more tokens were allowed.
        """
        if self.finish_reason is None:
            raise MalformedAnswer("the stream ended before a finish_reason", service=self._service)
        text = "".join(self._pieces)
        if not text.strip():
            kind = CutShort if self.finish_reason == "length" else EmptyOutput
            raise kind(f"the text (finish_reason {self.finish_reason!r})", service=self._service)
        return text

    def _take(self, event: ServerSentEvent) -> Iterator[str]:
        if event.data.strip() == "[DONE]":
            self.done = True
            return
        chunk = self._decoded(event)
        if chunk.error is not None or chunk.object == "error" or event.name == "error":
            raise stated_error(event.data, status=None, service=self._service, model=self._asked)
        self.model = chunk.model or self.model
        if chunk.usage:
            self.usage = counts_of(chunk.usage)
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
