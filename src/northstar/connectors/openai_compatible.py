"""Work done by any engine that speaks OpenAI's API: vLLM, TensorRT-LLM's trtllm-serve, llama.cpp and their like."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Literal, TypeAlias

from northstar.connectors.contract import ConnectorJob, ConnectorResult, Json, Report
from northstar.connectors.engine_http import EngineHttp
from northstar.connectors.openai_embeddings import embed
from northstar.connectors.openai_images import paint
from northstar.connectors.openai_line import Line, Patience
from northstar.connectors.openai_readiness import check_health, check_model
from northstar.connectors.openai_text import warm_up_text, write_text
from northstar.connectors.running import RunningJobs
from northstar.connectors.secret import Secret
from northstar.connectors.waiting import bounded
from northstar.domain.progress import Progress

#: What a service asks of its engine.
Task: TypeAlias = Literal["text", "embeddings", "images"]

_WARM_UPS: Final[dict[Task, dict[str, Json]]] = {
    "text": {"prompt": "Hello", "max_tokens": 1},
    "embeddings": {"input": "Hello"},
    "images": {"prompt": "a star"},
}


class OpenAIConnector:
    """The connector for one engine at one base address, and one task."""

    def __init__(
        self,
        base_url: str,
        *,
        service: str = "text",
        task: Task = "text",
        model: str | None = None,
        api_key: Secret | None = None,
        patience: Patience | None = None,
        max_output_bytes: int = 4 * 1024 * 1024,
        extra_options: frozenset[str] = frozenset(),
        picture_hosts: frozenset[str] = frozenset(),
        warm_up: Mapping[str, Json] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`base_url` is http(s)://host[:port][/path], with or without a final /v1.

        `picture_hosts` may be asked for pictures that the engine gives by address. `warm_up` is the payload that proves the
        engine; None is one token, one short text to embed, or one picture of the engine's own size.

        Raises:
            ValueError: the address is of another kind, or carries a user, a query or a fragment.
        """
        self.service = service
        self._task: Task = task
        self._picture_hosts = picture_hosts
        self._warm_up = _WARM_UPS[task] if warm_up is None else warm_up
        patience = patience or Patience()
        address = base_url.rstrip("/").removesuffix("/v1")
        self._line = Line(
            http=EngineHttp(address, service=service, api_key=api_key, connect_s=patience.connect_s),
            service=service,
            model=model,
            patience=patience,
            max_output_bytes=max_output_bytes,
            extra_options=extra_options,
            clock=clock,
        )
        self._running = RunningJobs(service=service)

    def __repr__(self) -> str:
        line = self._line
        return f"OpenAIConnector({line.http.base_url!r}, service={self.service!r}, model={line.model!r})"

    async def ready(self) -> None:
        """Return once the engine says that it is well, lists its model, and has answered a warm-up job.

        Raises:
            EngineError: it did not; `EngineBusy` while it loads its model, `ModelMissing` if it has another one.
        """
        await bounded(self._prove(), service=self.service, patience_s=self._line.patience.total_s)

    async def run(self, job: ConnectorJob, report: Report) -> ConnectorResult:
        """Run one job of this service's task. Hangs up when cancelled, which makes the engine stop.

        Raises:
            EngineError: see `northstar.connectors.errors`.
        """
        return await self._running.run(self._run(job, report), job_id=job.id)

    async def close(self) -> None:
        """End the jobs that still run, with `EngineGone`, and close all connections."""
        await self._running.close()
        await self._line.http.close()

    async def _prove(self) -> None:
        line = self._line
        await check_health(line.http, service=self.service)
        if line.model is not None:
            await check_model(line.http, line.model, service=self.service)
        with tempfile.TemporaryDirectory(prefix="northstar-warm-up-") as folder:
            job = ConnectorJob(id="warm-up", service=self.service, payload=self._warm_up, workspace=Path(folder))
            if self._task == "text":
                await warm_up_text(line, job)
            else:
                await self._run(job, _ignore)

    async def _run(self, job: ConnectorJob, report: Report) -> ConnectorResult:
        line = self._line
        match self._task:
            case "text":
                work = write_text(line, job, report)
            case "embeddings":
                work = embed(line, job, report)
            case "images":
                work = paint(line, job, report, hosts=self._picture_hosts)
        return await bounded(work, service=self.service, patience_s=line.patience.total_s, deadline_s=job.deadline_s)


def _ignore(_news: Progress) -> None:
    """The listener of a warm-up."""
