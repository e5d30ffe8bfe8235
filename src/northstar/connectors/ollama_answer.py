"""Ollama's streamed answer: lines of JSON in, verified text out, errors by class wherever they hide."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from northstar.connectors.contract import Json
from northstar.connectors.errors import CutShort, EmptyOutput, MalformedAnswer, OutputTooLarge
from northstar.connectors.ndjson import LineStream, LineTooLong
from northstar.connectors.stated_error import AskedModel, stated_error

_NANOSECONDS: Final = 1e9


class _Message(msgspec.Struct):
    content: str = ""
    thinking: str | None = None


class _Line(msgspec.Struct):
    message: _Message | None = None
    response: str | None = None
    thinking: str | None = None
    done: bool = False
    done_reason: str | None = None
    model: str | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    load_duration: int | None = None
    error: Json = None


class OllamaAnswer:
    """Collects one streamed answer. Thoughts count as life and as size, not as text."""

    def __init__(self, *, service: str, max_bytes: int, model: AskedModel) -> None:
        """`max_bytes` bounds text and thoughts together, in UTF-8. `model` is what was asked for."""
        self._service = service
        self._max_bytes = max_bytes
        self._asked = model
        self._lines = LineStream()
        self._pieces: list[str] = []
        self._size_bytes = 0
        self._last: _Line | None = None
        #: Lines that carried text or thoughts: what the patience between two tokens is measured by.
        self.pieces_seen = 0

    @property
    def done(self) -> bool:
        """Whether the last line has come."""
        return self._last is not None

    @property
    def finish_reason(self) -> str | None:
        """Why the text ended: `stop`, `length`, or what the model's template says."""
        return self._last.done_reason if self._last is not None else None

    @property
    def model(self) -> str | None:
        """The model that answered."""
        return self._last.model if self._last is not None else None

    @property
    def load_s(self) -> float:
        """How long Ollama says that loading the model took."""
        nanoseconds = self._last.load_duration if self._last is not None else None
        return (nanoseconds or 0) / _NANOSECONDS

    @property
    def usage(self) -> dict[str, int]:
        """Tokens, counted as the other text engines do. Ollama leaves out a prompt that it had in its cache."""
        if self._last is None:
            return {}
        prompt, completion = self._last.prompt_eval_count or 0, self._last.eval_count or 0
        return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}

    def feed(self, chunk: bytes) -> Iterator[str]:
        """Take bytes from the engine; give the text that they carry.

        Raises:
            EngineError: a line is an error, breaks the protocol, or the text grows too large.
        """
        try:
            for line in self._lines.feed(chunk):
                yield from self._take(line)
        except LineTooLong as error:
            raise MalformedAnswer(str(error), service=self._service) from error

    def end(self) -> Iterator[str]:
        """The stream has ended; a last line may lack its line feed."""
        if rest := self._lines.rest():
            yield from self._take(rest)

    def text(self) -> str:
        """The verified text of a stream that has ended.

        Raises:
            MalformedAnswer: the stream ended in the middle.
            EmptyOutput: it ended well without a word. CutShort: because no more tokens were allowed.
        """
        if self._last is None:
            raise MalformedAnswer("the stream ended before a line with `done`", service=self._service)
        text = "".join(self._pieces)
        if not text.strip():
            kind = CutShort if self.finish_reason == "length" else EmptyOutput
            raise kind(f"the text (done_reason {self.finish_reason!r})", service=self._service)
        return text

    def _take(self, raw: bytes) -> Iterator[str]:
        if self._last is not None:
            return
        try:
            line = msgspec.json.decode(raw, type=_Line)
        except msgspec.MsgspecError as error:
            raise MalformedAnswer(f"a line that is no part of an answer: {error}", service=self._service) from error
        if line.error is not None:
            raise stated_error(raw.decode(errors="replace"), status=None, service=self._service, model=self._asked)
        message = line.message or _Message()
        text, thought = message.content or line.response or "", message.thinking or line.thinking or ""
        self.pieces_seen += bool(text or thought)
        self._size_bytes += len(text.encode(errors="surrogatepass")) + len(thought.encode(errors="surrogatepass"))
        if self._size_bytes > self._max_bytes:
            raise OutputTooLarge("the text", service=self._service, limit_bytes=self._max_bytes)
        if line.done:
            self._last = line
        if text:
            self._pieces.append(text)
            yield text
