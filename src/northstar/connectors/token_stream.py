"""Reading an answer that comes token by token: silence has an end, and what comes out is one verified text."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Protocol

import aiohttp
import msgspec

from northstar.connectors.contract import ConnectorJob, ConnectorResult, Json, Report
from northstar.connectors.engine_http import EngineHttp
from northstar.connectors.errors import EngineTimeout
from northstar.connectors.placing import placed_text
from northstar.connectors.stated_error import AskedModel
from northstar.domain.progress import Progress

_SUMMARY_CHARS: Final = 2_000


class StreamedAnswer(Protocol):
    """Collects one streamed answer of an engine's own format."""

    @property
    def done(self) -> bool:
        """Whether nothing more will come that counts."""
        ...

    @property
    def pieces_seen(self) -> int:
        """Pieces that carried text or thoughts."""
        ...

    @property
    def finish_reason(self) -> str | None:
        """Why the text ended."""
        ...

    @property
    def usage(self) -> dict[str, int]:
        """Counts of tokens."""
        ...

    @property
    def model(self) -> str | None:
        """The model that answered."""
        ...

    def feed(self, chunk: bytes) -> Iterator[str]:
        """Take bytes; give the text that they carry."""
        ...

    def end(self) -> Iterator[str]:
        """The stream has ended."""
        ...

    def text(self) -> str:
        """The whole verified text."""
        ...


class StreamRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Where to post what, which content type must come back, and how many seconds of silence are borne."""

    path: str
    body: Mapping[str, Json]
    accept: str
    model: AskedModel
    first_token_s: float
    between_tokens_s: float


async def read_stream(
    http: EngineHttp,
    request: StreamRequest,
    answer: StreamedAnswer,
    *,
    service: str,
    heard: Callable[[str], None],
    accepted: Callable[[], None] | None = None,
) -> None:
    """Post, and read to the end. Comments that only keep a connection alive do not count as tokens.

    `accepted` is called when the engine has begun to answer and it is no refusal; `heard` with each piece of text.

    Raises:
        EngineTimeout: no first, or no next token in time. EngineError: whatever else went wrong.
    """
    silence = asyncio.timeout(request.first_token_s)
    try:
        async with silence, http.posted(request.path, request.body, accept=request.accept) as response:
            refusal = await http.refusal_of(response, expected=request.accept, model=request.model)
            if refusal is not None:
                raise refusal
            if accepted is not None:
                accepted()
            await _read(response, answer, silence=silence, between_s=request.between_tokens_s, heard=heard)
    except TimeoutError as error:
        if not silence.expired():
            raise
        awaited, limit_s = (
            ("next token", request.between_tokens_s) if answer.pieces_seen else ("first token", request.first_token_s)
        )
        raise EngineTimeout(awaited, service=service, limit_s=limit_s) from error


async def _read(
    response: aiohttp.ClientResponse,
    answer: StreamedAnswer,
    *,
    silence: asyncio.Timeout,
    between_s: float,
    heard: Callable[[str], None],
) -> None:
    seen = 0
    while not answer.done and (chunk := await response.content.readany()):
        for text in answer.feed(chunk):
            heard(text)
        if answer.pieces_seen > seen:
            seen = answer.pieces_seen
            silence.reschedule(asyncio.get_running_loop().time() + between_s)
    for text in answer.end():
        heard(text)


async def streamed_text(
    http: EngineHttp,
    request: StreamRequest,
    answer: StreamedAnswer,
    *,
    job: ConnectorJob,
    report: Report,
    clock: Callable[[], float],
    service: str,
) -> ConnectorResult:
    """Stream an answer to whoever listens; give the verified text with its summary.

    Raises:
        EngineError: as `read_stream`, or the text is empty or ended in the middle.
    """
    started = clock()
    first_token_s: list[float] = []

    def heard(tokens: str) -> None:
        if not first_token_s:
            first_token_s.append(clock() - started)
        report(Progress(phase="running", tokens=tokens))

    def accepted() -> None:
        report(Progress(phase="running"))

    await read_stream(http, request, answer, service=service, heard=heard, accepted=accepted)
    text = answer.text()
    output = await asyncio.to_thread(placed_text, "text.txt", text, job.workspace)
    summary: dict[str, Json] = {
        "text": text[:_SUMMARY_CHARS],
        "finish_reason": answer.finish_reason,
        "usage": answer.usage,
        "model": answer.model,
        "first_token_s": round(first_token_s[0], 6),
        "run_s": round(clock() - started, 6),
    }
    return ConnectorResult(outputs=(output,), summary=summary)
