"""Texts as vectors: one vector for each text, all of one length, every number finite."""

from __future__ import annotations

import asyncio
import math
from typing import Final

import msgspec

from northstar.connectors.contract import ConnectorJob, ConnectorResult, Json, Output, Report
from northstar.connectors.errors import EmptyOutput, EngineRejected, MalformedAnswer
from northstar.connectors.openai_answer import counts_of
from northstar.connectors.openai_line import Line, Payload
from northstar.connectors.openai_request import EngineRequest, asked_model, check_options
from northstar.connectors.placing import placed_text
from northstar.domain.progress import Progress

_ALLOWED: Final = frozenset({"input", "model", "dimensions", "user"})
_MOST_INPUTS: Final = 2_048


class _Vector(msgspec.Struct):
    embedding: list[float]
    index: int


class _Answer(msgspec.Struct):
    data: list[_Vector]
    model: str | None = None
    usage: dict[str, Json] | None = None


async def embed(line: Line, job: ConnectorJob, report: Report) -> ConnectorResult:
    """Ask for the vectors of `input`: one text, or up to 2,048.

    Raises:
        EngineError: see `northstar.connectors.errors`.
    """
    inputs = checked_inputs(job.payload, service=line.service)
    started = line.clock()
    report(Progress(phase="running", message=f"{len(inputs)} text{'s' if len(inputs) != 1 else ''}"))
    request = _request(line, job.payload, inputs)
    body = await line.answer_to(request, what="the embeddings", max_bytes=line.max_output_bytes)
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except msgspec.MsgspecError as error:
        raise MalformedAnswer(f"no list of embeddings: {error}", service=line.service) from error
    vectors = _in_order(answer.data, service=line.service)
    dimensions = checked_vectors(vectors, expected=len(inputs), service=line.service)
    report(Progress(phase="storing"))
    output = await asyncio.to_thread(placed_vectors, vectors, job)
    summary = {
        "embeddings": len(vectors),
        "dimensions": dimensions,
        "usage": counts_of(answer.usage or {}),
        "model": answer.model,
        "run_s": round(line.clock() - started, 6),
    }
    return ConnectorResult(outputs=(output,), summary=summary)


def checked_inputs(payload: Payload, *, service: str) -> list[str]:
    """The texts of `input`.

    Raises:
        EngineRejected: it is neither a text nor a list of 1 to 2,048 texts, or one of them is empty.
    """
    given = payload.get("input")
    inputs = [given] if isinstance(given, str) else given
    if not isinstance(inputs, list) or not 1 <= len(inputs) <= _MOST_INPUTS:
        raise EngineRejected(f"`input` must be a string or a list of 1 to {_MOST_INPUTS} strings", service=service)
    if not all(isinstance(text, str) and text for text in inputs):
        raise EngineRejected("`input` must hold strings that are not empty", service=service)
    return inputs


def checked_vectors(vectors: list[list[float]], *, expected: int, service: str) -> int:
    """How many numbers each vector has.

    Raises:
        MalformedAnswer: too few or too many vectors, of different lengths, or with a number that is none.
        EmptyOutput: a vector of nothing, or of nothing but zeros.
    """
    if len(vectors) != expected:
        raise MalformedAnswer(f"{len(vectors)} embeddings for {expected} inputs", service=service)
    dimensions = len(vectors[0])
    for vector in vectors:
        if len(vector) != dimensions:
            raise MalformedAnswer(f"embeddings of {dimensions} and of {len(vector)} numbers", service=service)
        if not all(map(math.isfinite, vector)):
            raise MalformedAnswer("an embedding with a number that is not finite", service=service)
        if not any(vector):
            raise EmptyOutput("an embedding", service=service)
    return dimensions


def placed_vectors(vectors: list[list[float]], job: ConnectorJob) -> Output:
    """The vectors as JSON, `{"embeddings": [[…], …]}`. Blocks while it writes."""
    text = msgspec.json.encode({"embeddings": vectors}).decode()
    return placed_text("embeddings.json", text, job.workspace, media_type="application/json")


def _in_order(data: list[_Vector], *, service: str) -> list[list[float]]:
    if sorted(one.index for one in data) != list(range(len(data))):
        raise MalformedAnswer("embeddings whose indices are not 0, 1, 2 and so on", service=service)
    return [one.embedding for one in sorted(data, key=lambda one: one.index)]


def _request(line: Line, payload: Payload, inputs: list[str]) -> EngineRequest:
    check_options(payload, _ALLOWED | line.extra_options, service=line.service)
    asked = asked_model(payload, line.model, service=line.service)
    body = {**payload, "input": inputs, "encoding_format": "float"}
    if asked.name is not None:
        body["model"] = asked.name
    return EngineRequest("/v1/embeddings", body, asked)
