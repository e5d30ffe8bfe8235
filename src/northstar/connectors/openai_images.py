"""Pictures: every one that was asked for, as a file that its own first bytes prove to be a picture, and its last ones a whole one."""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import Final
from urllib.parse import urljoin, urlsplit

import msgspec

from northstar.connectors.contract import ConnectorJob, ConnectorResult, Json, Output, Report
from northstar.connectors.engine_http import origin_of
from northstar.connectors.errors import EmptyOutput, EngineRejected, MalformedAnswer, OutputTooLarge
from northstar.connectors.media import HEAD_BYTES, media_type_of_head, media_type_of_text
from northstar.connectors.openai_answer import counts_of
from northstar.connectors.openai_line import Line, Payload
from northstar.connectors.openai_request import EngineRequest, asked_model, check_options
from northstar.connectors.placing import placed_file
from northstar.connectors.wholeness import is_whole
from northstar.domain.progress import Progress

_ALLOWED: Final = frozenset(
    {
        "background",
        "guidance_scale",
        "model",
        "n",
        "negative_prompt",
        "num_inference_steps",
        "output_compression",
        "output_format",
        "prompt",
        "quality",
        "response_format",
        "seed",
        "size",
        "style",
        "user",
    }
)
_MOST_PICTURES: Final = 10
_BESIDES_PICTURES_BYTES: Final = 256 * 1024
_PROMPT_CHARS: Final = 500


class _Picture(msgspec.Struct):
    b64_json: str | None = None
    url: str | None = None
    revised_prompt: str | None = None


class _Answer(msgspec.Struct):
    data: list[_Picture]
    usage: dict[str, Json] | None = None


async def paint(line: Line, job: ConnectorJob, report: Report, *, hosts: frozenset[str]) -> ConnectorResult:
    """Ask for `n` pictures (1 to 10). Addresses in the answer are fetched from the engine itself and from `hosts` only.

    Raises:
        EngineError: see `northstar.connectors.errors`.
    """
    wanted = _wanted(job.payload, service=line.service)
    request = _request(line, job.payload)
    started = line.clock()
    report(Progress(phase="running", message=f"{wanted} picture{'s' if wanted != 1 else ''}"))
    max_bytes = line.max_output_bytes * 4 // 3 + _BESIDES_PICTURES_BYTES  # base64 takes four bytes for three
    body = await line.answer_to(request, what="the pictures", max_bytes=max_bytes)
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except msgspec.MsgspecError as error:
        raise MalformedAnswer(f"no list of pictures: {error}", service=line.service) from error
    if len(answer.data) != wanted:
        raise MalformedAnswer(f"{len(answer.data)} pictures where {wanted} were asked for", service=line.service)
    report(Progress(phase="storing"))
    outputs: list[Output] = []
    left_bytes = line.max_output_bytes
    for number, picture in enumerate(answer.data, start=1):
        data = await _bytes_of(line, picture, left_bytes=left_bytes, hosts=hosts)
        left_bytes -= len(data)
        if left_bytes < 0:
            raise OutputTooLarge("all pictures together", service=line.service, limit_bytes=line.max_output_bytes)
        outputs.append(await _stored(data, number, job, service=line.service))
    summary: dict[str, Json] = {
        "pictures": len(outputs),
        "usage": counts_of(answer.usage or {}),
        "model": request.model.name,
        "revised_prompt": (answer.data[0].revised_prompt or "")[:_PROMPT_CHARS] or None,
        "run_s": round(line.clock() - started, 6),
    }
    return ConnectorResult(outputs=tuple(outputs), summary=summary)


async def _bytes_of(line: Line, picture: _Picture, *, left_bytes: int, hosts: frozenset[str]) -> bytes:
    if picture.b64_json is not None:
        try:
            return base64.b64decode(picture.b64_json, validate=True)
        except binascii.Error as error:
            raise MalformedAnswer(f"a picture that is no base64: {error}", service=line.service) from error
    if picture.url is None:
        raise MalformedAnswer("a picture with neither b64_json nor url", service=line.service)
    async with line.http.got_from(_allowed(line, picture.url, hosts=hosts)) as response:
        if response.status != 200:
            raise MalformedAnswer(f"status {response.status} for the picture's address", service=line.service)
        return await line.http.body_of(response, what="a picture", max_bytes=left_bytes)


def _allowed(line: Line, address: str, *, hosts: frozenset[str]) -> str:
    """The whole address of a picture, if this machine may ask there."""
    try:
        url = urljoin(line.http.base_url + "/", address)
        host, own = urlsplit(url).hostname, origin_of(url) == origin_of(line.http.base_url)
    except ValueError as error:
        raise MalformedAnswer(f"a picture at no address: {error}", service=line.service) from error
    if own or host in hosts:
        return url
    raise MalformedAnswer(
        f"a picture at the host {host!r}, which the settings do not allow (picture_hosts)", service=line.service
    )


async def _stored(data: bytes, number: int, job: ConnectorJob, *, service: str) -> Output:
    if not data:
        raise EmptyOutput(f"picture {number}", service=service)
    media_type = media_type_of_head(data[:HEAD_BYTES])
    if media_type is None or not media_type.startswith("image/"):
        found = media_type or media_type_of_text(data, "picture")
        raise MalformedAnswer(f"picture {number} is no picture but {found}", service=service)
    name = f"picture-{number}.{media_type.removeprefix('image/')}"
    output = await asyncio.to_thread(placed_file, name, data, job.workspace, media_type=media_type)
    if output.path is not None and not await asyncio.to_thread(is_whole, output.path, media_type):
        raise MalformedAnswer(f"picture {number} is cut off before its end", service=service)
    return output


def _wanted(payload: Payload, *, service: str) -> int:
    wanted = payload.get("n", 1)
    if not isinstance(wanted, int) or not 1 <= wanted <= _MOST_PICTURES:
        raise EngineRejected(f"`n` must be a whole number from 1 to {_MOST_PICTURES}", service=service)
    return wanted


def _request(line: Line, payload: Payload) -> EngineRequest:
    check_options(payload, _ALLOWED | line.extra_options, service=line.service)
    if not isinstance(payload.get("prompt"), str) or not payload["prompt"]:
        raise EngineRejected("`prompt` must be a string that is not empty", service=line.service)
    asked = asked_model(payload, line.model, service=line.service)
    body = {"response_format": "b64_json", **payload}
    if asked.name is not None:
        body["model"] = asked.name
    return EngineRequest("/v1/images/generations", body, asked)
