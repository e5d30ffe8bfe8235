"""Chats and completions: streamed token by token, collected into one verified text."""

from __future__ import annotations

from typing import Final

from northstar.connectors.contract import ConnectorJob, ConnectorResult, Report
from northstar.connectors.errors import EmptyOutput
from northstar.connectors.openai_answer import Answer
from northstar.connectors.openai_line import Line
from northstar.connectors.openai_request import text_request
from northstar.connectors.token_stream import StreamRequest, read_stream, streamed_text

_STREAM: Final = "text/event-stream"


async def write_text(line: Line, job: ConnectorJob, report: Report) -> ConnectorResult:
    """Run one chat or completion.

    Raises:
        EngineError: see `northstar.connectors.errors`.
    """
    request = _request(line, job)
    answer = Answer(service=line.service, max_bytes=line.max_output_bytes, model=request.model)
    return await streamed_text(
        line.http, request, answer, job=job, report=report, clock=line.clock, service=line.service
    )


async def warm_up_text(line: Line, job: ConnectorJob) -> None:
    """Ask for one token; return when the engine gave a whole answer, even one without a word.

    Raises:
        EngineError: it did not.
    """
    request = _request(line, job)
    answer = Answer(service=line.service, max_bytes=line.max_output_bytes, model=request.model)
    await read_stream(line.http, request, answer, service=line.service, heard=_ignore)
    try:
        answer.text()
    except EmptyOutput:
        return  # one token may well be the end of the text; that the engine works is proven


def _request(line: Line, job: ConnectorJob) -> StreamRequest:
    asked = text_request(job.payload, service=line.service, model=line.model, extra_options=line.extra_options)
    return StreamRequest(
        path=asked.path,
        body=asked.body,
        accept=_STREAM,
        model=asked.model,
        first_token_s=line.patience.first_token_s,
        between_tokens_s=line.patience.between_tokens_s,
    )


def _ignore(_tokens: str) -> None:
    """The listener of a warm-up."""
