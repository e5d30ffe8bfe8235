"""Chats and completions: streamed token by token, collected into one verified text."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import aiohttp

from northstar.connectors.contract import ConnectorJob, ConnectorResult, Progress, Report
from northstar.connectors.errors import DeadlinePassed, EmptyOutput, EngineTimeout
from northstar.connectors.openai_answer import Answer
from northstar.connectors.openai_line import Line
from northstar.connectors.openai_request import EngineRequest, text_request
from northstar.connectors.placing import placed_text

_SUMMARY_CHARS: Final = 2_000
_STREAM: Final = "text/event-stream"


async def write_text(line: Line, job: ConnectorJob, report: Report) -> ConnectorResult:
    """Run one chat or completion.

    Raises:
        EngineError: see `northstar.connectors.errors`.
    """
    request = _request(line, job)
    answer = Answer(service=line.service, max_bytes=line.max_output_bytes, model=request.model)
    started = line.clock()
    first_token_s: list[float] = []

    def heard(tokens: str) -> None:
        if not first_token_s:
            first_token_s.append(line.clock() - started)
        report(Progress(tokens=tokens))

    await _exchange(line, request, answer, deadline_s=job.deadline_s, heard=heard)
    text = answer.text()
    output = await asyncio.to_thread(placed_text, "text.txt", text, job.workspace)
    summary = {
        "text": text[:_SUMMARY_CHARS],
        "finish_reason": answer.finish_reason,
        "usage": answer.usage,
        "model": answer.model,
        "first_token_s": round(first_token_s[0], 6),
        "run_s": round(line.clock() - started, 6),
    }
    return ConnectorResult(outputs=(output,), summary=summary)


async def warm_up_text(line: Line, job: ConnectorJob) -> None:
    """Ask for one token; return when the engine gave a whole answer, even one without a word.

    Raises:
        EngineError: it did not.
    """
    answer = Answer(service=line.service, max_bytes=line.max_output_bytes)
    await _exchange(line, _request(line, job), answer, deadline_s=None, heard=_ignore)
    try:
        answer.text()
    except EmptyOutput:
        return  # one token may well be the end of the text; that the engine works is proven


def _request(line: Line, job: ConnectorJob) -> EngineRequest:
    return text_request(job.payload, service=line.service, model=line.model, extra_options=line.extra_options)


async def _exchange(
    line: Line, request: EngineRequest, answer: Answer, *, deadline_s: float | None, heard: Callable[[str], None]
) -> None:
    """Post, and read to the end. Every wait is bounded: for the connection, each token, and the whole."""
    patience = line.patience
    total_s = patience.total_s if deadline_s is None else min(deadline_s, patience.total_s)
    try:
        async with (
            asyncio.timeout(total_s) as whole,
            asyncio.timeout(patience.first_token_s) as silence,
            line.http.posted(request.path, request.body, accept=_STREAM) as response,
        ):
            refusal = await line.http.refusal_of(response, expected=_STREAM, model=request.model)
            if refusal is not None:
                raise refusal
            await _read(response, answer, silence=silence, between_s=patience.between_tokens_s, heard=heard)
    except TimeoutError as error:
        if whole.expired():
            kind = DeadlinePassed if total_s < patience.total_s else EngineTimeout
            raise kind("end of the answer", service=line.service, limit_s=total_s) from error
        if answer.pieces_seen:
            raise EngineTimeout("next token", service=line.service, limit_s=patience.between_tokens_s) from error
        raise EngineTimeout("first token", service=line.service, limit_s=patience.first_token_s) from error


async def _read(
    response: aiohttp.ClientResponse,
    answer: Answer,
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


def _ignore(_tokens: str) -> None:
    """The listener of a warm-up."""
