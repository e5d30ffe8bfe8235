"""Text from any engine that speaks OpenAI's API: vLLM, TensorRT-LLM, llama.cpp and their like, streamed end to end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import msgspec

from northstar.connectors.contract import (
    INLINE_TEXT_BYTES,
    ConnectorJob,
    ConnectorResult,
    Json,
    Output,
    Progress,
    Report,
)
from northstar.connectors.errors import EmptyOutput, EngineGone, EngineTimeout, MalformedAnswer
from northstar.connectors.openai_answer import Answer, stated_error, states_error
from northstar.connectors.openai_request import EngineRequest, engine_request
from northstar.connectors.running import RunningJobs
from northstar.connectors.secret import Secret

_ERROR_BODY_BYTES: Final = 64 * 1024
_SUMMARY_CHARS: Final = 2_000
_CONNECTIONS: Final = 256
_LONGEST_WISH_S: Final = 3_600.0


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How long to wait for what, in seconds. Comments that only keep a connection alive do not count as tokens."""

    connect_s: float = 5.0
    first_token_s: float = 120.0
    between_tokens_s: float = 30.0
    total_s: float = 3_600.0


class OpenAIConnector:
    """The connector for one engine at one base address."""

    def __init__(
        self,
        base_url: str,
        *,
        service: str = "text",
        model: str | None = None,
        api_key: Secret | None = None,
        patience: Patience | None = None,
        max_output_bytes: int = 4 * 1024 * 1024,
        extra_options: frozenset[str] = frozenset(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`base_url` is http(s)://host[:port][/path], with or without a final /v1.

        Raises:
            ValueError: the address is of another kind, or carries a user, a query or a fragment.
        """
        self.service = service
        self._base_url = _checked_base(base_url)
        self._model = model
        self._api_key = api_key
        self._patience = patience or Patience()
        self._max_output_bytes = max_output_bytes
        self._extra_options = extra_options
        self._clock = clock
        self._running = RunningJobs(service=service)
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"OpenAIConnector({self._base_url!r}, service={self.service!r}, model={self._model!r})"

    async def ready(self) -> None:
        """Ask the engine for one token; return when it gave a whole answer.

        Raises:
            EngineError: it did not; `EngineBusy` while it loads its model.
        """
        request = self._request({"prompt": "Hello", "max_tokens": 1})
        answer = Answer(service=self.service, max_bytes=self._max_output_bytes)
        await self._exchange(request, answer, total_s=self._patience.total_s, heard=_ignore)
        try:
            answer.text()
        except EmptyOutput:
            return  # one token may well be the end of the text; that the engine works is proven

    async def run(self, job: ConnectorJob, report: Report) -> ConnectorResult:
        """Run one chat or completion. Hangs up when cancelled, which makes the engine stop.

        Raises:
            EngineError: see `northstar.connectors.errors`.
        """
        return await self._running.run(self._run(job, report), job_id=job.id)

    async def close(self) -> None:
        """End the jobs that still run, with `EngineGone`, and close all connections."""
        await self._running.close()
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _run(self, job: ConnectorJob, report: Report) -> ConnectorResult:
        request = self._request(job.payload)
        answer = Answer(service=self.service, max_bytes=self._max_output_bytes)
        started = self._clock()
        first_token_s: list[float] = []

        def heard(tokens: str) -> None:
            if not first_token_s:
                first_token_s.append(self._clock() - started)
            report(Progress(tokens=tokens))

        total_s = self._patience.total_s if job.deadline_s is None else job.deadline_s
        await self._exchange(request, answer, total_s=total_s, heard=heard)
        text = answer.text()
        output = await asyncio.to_thread(_as_output, text, job.workspace)
        summary = {
            "text": text[:_SUMMARY_CHARS],
            "finish_reason": answer.finish_reason,
            "usage": answer.usage,
            "model": answer.model,
            "first_token_s": round(first_token_s[0], 6),
            "run_s": round(self._clock() - started, 6),
        }
        return ConnectorResult(outputs=(output,), summary=summary)

    def _request(self, payload: Mapping[str, Json]) -> EngineRequest:
        return engine_request(payload, service=self.service, model=self._model, extra_options=self._extra_options)

    async def _exchange(
        self, request: EngineRequest, answer: Answer, *, total_s: float, heard: Callable[[str], None]
    ) -> None:
        """Post, and read to the end. Every wait is bounded: for the connection, each token, and the whole."""
        patience = self._patience
        try:
            async with (
                asyncio.timeout(total_s) as whole,
                asyncio.timeout(patience.first_token_s) as silence,
                self._posted(request) as response,
            ):
                await self._check_head(response)
                await self._read(response, answer, silence=silence, heard=heard)
        except TimeoutError as error:
            if whole.expired():
                raise EngineTimeout("end of the answer", service=self.service, limit_s=total_s) from error
            if answer.pieces_seen:
                raise EngineTimeout("next token", service=self.service, limit_s=patience.between_tokens_s) from error
            raise EngineTimeout("first token", service=self.service, limit_s=patience.first_token_s) from error

    async def _read(
        self,
        response: aiohttp.ClientResponse,
        answer: Answer,
        *,
        silence: asyncio.Timeout,
        heard: Callable[[str], None],
    ) -> None:
        seen = 0
        while not answer.done and (chunk := await response.content.readany()):
            for text in answer.feed(chunk):
                heard(text)
            if answer.pieces_seen > seen:
                seen = answer.pieces_seen
                silence.reschedule(asyncio.get_running_loop().time() + self._patience.between_tokens_s)

    @asynccontextmanager
    async def _posted(self, request: EngineRequest) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {"Accept": "text/event-stream", "Content-Type": "application/json"}
        if self._api_key is not None:
            headers["Authorization"] = f"Bearer {self._api_key.reveal()}"
        try:
            response = await self._open_session().post(
                self._base_url + request.path,
                data=msgspec.json.encode(request.body),
                headers=headers,
                allow_redirects=False,  # a key must not travel to another host
            )
            try:
                yield response
            finally:
                response.close()  # not release: an unfinished answer must end at the engine too
        except aiohttp.ConnectionTimeoutError as error:
            raise EngineTimeout("connection", service=self.service, limit_s=self._patience.connect_s) from error
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError) as error:
            raise EngineGone(f"{type(error).__name__}: {error}", service=self.service) from error
        except aiohttp.ClientError as error:
            raise MalformedAnswer(f"{type(error).__name__}: {error}", service=self.service) from error

    async def _check_head(self, response: aiohttp.ClientResponse) -> None:
        if response.status == 200 and response.content_type == "text/event-stream":
            return
        body = (await _bounded_body(response)).decode(errors="replace")
        if response.status != 200 or states_error(body):
            raise stated_error(
                body, status=response.status, service=self.service, retry_after_s=_retry_after_s(response)
            )
        raise MalformedAnswer(
            f"content type {response.content_type!r} instead of an event stream", service=self.service
        )

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # Engines close idle connections as they like; a fresh one per job cannot be closed under a request.
                connector=aiohttp.TCPConnector(force_close=True, limit=_CONNECTIONS),
                timeout=aiohttp.ClientTimeout(total=None, connect=self._patience.connect_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return self._session


def _ignore(_tokens: str) -> None:
    """The listener of a warm-up."""


def _checked_base(base_url: str) -> str:
    parts = urlsplit(base_url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"the engine's address must be http(s)://host[:port], not one of scheme {parts.scheme!r}")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("the engine's address must carry no user, query or fragment; give the key as a Secret")
    return base_url.rstrip("/").removesuffix("/v1")


async def _bounded_body(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    while len(body) < _ERROR_BODY_BYTES and (chunk := await response.content.read(_ERROR_BODY_BYTES - len(body))):
        body += chunk
    return bytes(body)


def _retry_after_s(response: aiohttp.ClientResponse) -> float | None:
    wish = response.headers.get("Retry-After", "")
    return min(float(wish), _LONGEST_WISH_S) if wish.isascii() and wish.isdigit() else None


def _as_output(text: str, workspace: Path) -> Output:
    """The text itself where it is short, else a file of it in the workspace."""
    output = Output.of_text("text.txt", text)
    if output.size_bytes <= INLINE_TEXT_BYTES:
        return output
    path = workspace / output.name
    path.write_bytes(text.encode())
    return msgspec.structs.replace(output, path=path, text=None)
