"""Text and embeddings from Ollama, streamed; its models are used as they are, never pulled silently."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from northstar.connectors.contract import ConnectorJob, ConnectorResult, Json, Report
from northstar.connectors.engine_http import EngineHttp
from northstar.connectors.errors import EmptyOutput
from northstar.connectors.ollama_answer import OllamaAnswer
from northstar.connectors.ollama_models import OllamaModels, decoded
from northstar.connectors.ollama_request import OllamaOffer, OllamaRequest, full_name, ollama_request
from northstar.connectors.openai_embeddings import checked_vectors, placed_vectors
from northstar.connectors.running import RunningJobs
from northstar.connectors.secret import Secret
from northstar.connectors.stated_error import AskedModel
from northstar.connectors.token_stream import StreamRequest, streamed_text
from northstar.connectors.waiting import bounded
from northstar.domain.engine_facts import EngineFacts
from northstar.domain.models import ModelHeld
from northstar.domain.progress import Progress

T = TypeVar("T")

_STREAM: Final = "application/x-ndjson"
_JSON: Final = "application/json"
_QUESTION_S: Final = 30.0


class OllamaPatience(msgspec.Struct, frozen=True, kw_only=True):
    """How long to wait for what, in seconds."""

    connect_s: float = 5.0
    load_s: float = 600.0
    first_token_s: float = 120.0
    between_tokens_s: float = 30.0
    total_s: float = 3_600.0


class _Vectors(msgspec.Struct):
    embeddings: list[list[float]]
    model: str | None = None
    prompt_eval_count: int | None = None


class OllamaConnector:
    """The connector for one Ollama at one address."""

    def __init__(
        self,
        base_url: str,
        offer: OllamaOffer,
        *,
        service: str = "text",
        api_key: Secret | None = None,
        patience: OllamaPatience | None = None,
        max_output_bytes: int = 4 * 1024 * 1024,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`base_url` is http(s)://host[:port].

        Raises:
            ValueError: the address is of another kind, or carries a user, a query or a fragment.
        """
        self.service = service
        self._offer = offer
        self._patience = patience or OllamaPatience()
        self._max_output_bytes = max_output_bytes
        self._clock = clock
        self._http = EngineHttp(base_url, service=service, api_key=api_key, connect_s=self._patience.connect_s)
        self._running = RunningJobs(service=service)
        #: What Ollama has on disk and in memory.
        self.models = OllamaModels(self._http, service=service, within_s=_QUESTION_S)

    def __repr__(self) -> str:
        return f"OllamaConnector({self._http.base_url!r}, service={self.service!r}, model={self._offer.model!r})"

    async def ready(self) -> None:
        """Return once every offered model is there, and the service's own model has answered a warm-up job.

        Raises:
            EngineError: it did not; `ModelMissing` names what has to be pulled.
        """
        can = await self.models.check(self._offer.model)
        for other in self._offer.other_models:
            await self.models.check(other)
        embeds = "embedding" in can and "completion" not in can
        payload: dict[str, Json] = {"input": "Hello"} if embeds else {"prompt": "Hello", "options": {"num_predict": 1}}
        with tempfile.TemporaryDirectory(prefix="northstar-warm-up-") as folder:
            job = ConnectorJob(id="warm-up", service=self.service, payload=payload, workspace=Path(folder))
            try:
                await self._run(job, _ignore)
            except EmptyOutput:
                if embeds:
                    raise
                return  # one token may well be the end of the text; that the engine works is proven

    async def describe(self) -> EngineFacts:
        """Ollama's version, and where the offered models are, by the names under which they are offered.

        Raises:
            EngineError: Ollama does not answer.
        """
        version = await self.models.version()
        sizes = {full_name(one.name): one.size for one in await self.models.on_disk()}
        resident = {full_name(one.name) for one in await self.models.resident()}
        held = tuple(
            ModelHeld(name, "resident" if full_name(name) in resident else "disk", max(0, sizes[full_name(name)]))
            for name in dict.fromkeys((self._offer.model, *self._offer.other_models))
            if full_name(name) in sizes
        )
        return EngineFacts(kind="ollama", version=version, models=held, tells_residency=True)

    async def run(self, job: ConnectorJob, report: Report) -> ConnectorResult:
        """Run one chat, completion or embedding. Hangs up when cancelled, which makes Ollama stop.

        Raises:
            EngineError: see `northstar.connectors.errors`.
        """
        return await self._running.run(self._run(job, report), job_id=job.id)

    async def close(self) -> None:
        """End the jobs that still run, with `EngineGone`, and close all connections."""
        await self._running.close()
        await self._http.close()

    async def _run(self, job: ConnectorJob, report: Report) -> ConnectorResult:
        request = ollama_request(job.payload, self._offer, service=self.service)
        work = self._work(request, job, report)
        return await bounded(work, service=self.service, patience_s=self._patience.total_s, deadline_s=job.deadline_s)

    async def _work(self, request: OllamaRequest, job: ConnectorJob, report: Report) -> ConnectorResult:
        if not await self.models.is_resident(request.model_name):
            report(Progress(phase="loading", model=request.model_name))
            await bounded(
                self._load(request), service=self.service, patience_s=self._patience.load_s, awaited="loaded model"
            )
        report(Progress(phase="running"))
        if request.kind == "embed":
            return await self._embed(request, job, report)
        answer = OllamaAnswer(service=self.service, max_bytes=self._max_output_bytes, model=request.model)
        result = await streamed_text(
            self._http,
            self._stream(request),
            answer,
            job=job,
            report=report,
            clock=self._clock,
            service=self.service,
        )
        return msgspec.structs.replace(result, summary={**result.summary, "load_s": round(answer.load_s, 6)})

    async def _load(self, request: OllamaRequest) -> None:
        """Have the model in memory before the work begins, so that the user hears which of the two takes so long.

        A request without a prompt (or with nothing to embed) loads the model and answers when it is there. It must not say
        `keep_alive`, because with 0 it would do the opposite; the job's own request says it.
        """
        embeds = request.kind == "embed"
        nothing: dict[str, Json] = {"input": []} if embeds else {"stream": False}
        body: dict[str, Json] = {"model": request.model_name} | nothing
        if "options" in request.body:
            body["options"] = request.body["options"]  # some of them belong to the loaded model, such as num_ctx
        await self._answered("/api/embed" if embeds else "/api/generate", body, _Loaded, model=request.model)

    def _stream(self, request: OllamaRequest) -> StreamRequest:
        return StreamRequest(
            path=request.path,
            body=request.body,
            accept=_STREAM,
            model=request.model,
            first_token_s=self._patience.first_token_s,
            between_tokens_s=self._patience.between_tokens_s,
        )

    async def _embed(self, request: OllamaRequest, job: ConnectorJob, report: Report) -> ConnectorResult:
        started = self._clock()
        answer = await self._answered(request.path, request.body, _Vectors, model=request.model)
        given = request.body["input"]
        expected = 1 if isinstance(given, str) else len(given)
        dimensions = checked_vectors(answer.embeddings, expected=expected, service=self.service)
        report(Progress(phase="storing"))
        output = await asyncio.to_thread(placed_vectors, answer.embeddings, job)
        tokens = answer.prompt_eval_count or 0
        summary = {
            "embeddings": expected,
            "dimensions": dimensions,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
            "model": answer.model,
            "run_s": round(self._clock() - started, 6),
        }
        return ConnectorResult(outputs=(output,), summary=summary)

    async def _answered(self, path: str, body: Mapping[str, Json], kind: type[T], *, model: AskedModel) -> T:
        """Post a request whose answer comes whole."""
        async with self._http.posted(path, body) as response:
            refusal = await self._http.refusal_of(response, expected=_JSON, model=model)
            if refusal is not None:
                raise refusal
            whole = await self._http.body_of(response, what="the answer", max_bytes=self._max_output_bytes)
        return decoded(whole, kind, service=self.service, model=model)


class _Loaded(msgspec.Struct):
    model: str


def _ignore(_news: Progress) -> None:
    """The listener of a warm-up."""
