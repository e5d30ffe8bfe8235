"""The connector for one ComfyUI server."""

from __future__ import annotations

import asyncio
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from northstar.connectors.comfyui.answers import Ended, failure_of, node_faults
from northstar.connectors.comfyui.facts import ComfyFacts, facts_of
from northstar.connectors.comfyui.following import RunFollower
from northstar.connectors.comfyui.frames import Frame
from northstar.connectors.comfyui.graph import ComfyRequest, comfy_request, marked, run_id_of, stored_name, with_inputs
from northstar.connectors.comfyui.http import ComfyHttp
from northstar.connectors.comfyui.inputs import InputSource
from northstar.connectors.comfyui.outputs import fetched, outputs_of
from northstar.connectors.comfyui.progress import RunProgress
from northstar.connectors.comfyui.rules import ComfyBounds, ComfyPatience
from northstar.connectors.comfyui.server import ComfyServer
from northstar.connectors.comfyui.stopping import stop_run
from northstar.connectors.comfyui.warm_up import warm_up_payload
from northstar.connectors.contract import ConnectorJob, ConnectorResult, Json, Report
from northstar.connectors.errors import DeadlinePassed, EngineRejected, EngineTimeout, MalformedAnswer
from northstar.connectors.running import RunningJobs, to_the_end
from northstar.connectors.secret import Secret
from northstar.domain.engine_facts import EngineFacts
from northstar.domain.progress import Progress
from northstar.telemetry import logger

log = logger(__name__)

EXPECTS: Final = ("image/*", "video/*", "audio/*", "model/*", "text/*", "application/json")


class ComfyUIConnector:
    """Runs graphs on one server. A job has one run, named for the job, and is found again after any restart of ours."""

    def __init__(
        self,
        base_url: str,
        *,
        service: str = "picture",
        warm_up: Mapping[str, Json] | None = None,
        expects: tuple[str, ...] = EXPECTS,
        input_hosts: frozenset[str] = frozenset(),
        api_key: Secret | None = None,
        patience: ComfyPatience | None = None,
        bounds: ComfyBounds | None = None,
        clock: Callable[[], float] = time.monotonic,
        new_id: Callable[[], uuid.UUID] = uuid.uuid4,
    ) -> None:
        """`base_url` is http(s)://host[:port][/path]; `warm_up` the payload of a small job, None for one of our own.

        `expects` are the media types, with wildcards, of outputs; `input_hosts` the hosts that inputs may come from even
        though they are not public.

        Raises:
            ValueError: the address is of another kind, or carries a user, a query or a fragment.
        """
        self.service = service
        self._patience = patience or ComfyPatience()
        self._bounds = bounds or ComfyBounds()
        self._warm_up = warm_up
        self._expects = expects
        self._clock = clock
        self._new_id = new_id
        self._http = ComfyHttp(base_url, service=service, patience=self._patience, bounds=self._bounds, api_key=api_key)
        self._server = ComfyServer(self._http)
        self._inputs = InputSource(
            service=service,
            hosts=input_hosts,
            max_bytes=self._bounds.input_bytes,
            answer_s=self._patience.answer_s,
        )
        self._running = RunningJobs(service=service)
        self._output_classes: frozenset[str] = frozenset()  # as the server last said

    def __repr__(self) -> str:
        return f"ComfyUIConnector({self._http!r}, service={self.service!r})"

    async def ready(self) -> None:
        """Ask the server what it can do, and run the warm-up on it.

        Raises:
            EngineError: it did not do it; `EngineGone` while it still starts.
        """
        facts = await self.facts()
        number = self._new_id()
        payload = warm_up_payload(self._warm_up, facts.node_classes, salt=number.int, service=self.service)
        with tempfile.TemporaryDirectory(prefix="northstar-warm-up-") as folder:
            job = ConnectorJob(
                id=f"warm-up-{number}",
                service=self.service,
                payload=payload,
                workspace=Path(folder),
                deadline_s=self._patience.warm_up_s,
            )
            await self.run(job, _ignore)

    async def facts(self) -> ComfyFacts:
        """Version, devices, node classes and models, as the server says at this moment.

        Raises:
            EngineError: it does not answer, or not as ComfyUI does.
        """
        facts = await facts_of(self._http)
        self._output_classes = facts.output_classes
        return facts

    async def describe(self) -> EngineFacts:
        """The same in the words of all engines; raises as `facts`."""
        return (await self.facts()).described()

    async def run(self, job: ConnectorJob, report: Report) -> ConnectorResult:
        """Run one graph. If the server knows the job's run from an earlier attempt, follow or fetch that one.

        Cancelling takes the run out of the server's queue or interrupts it, and waits for that.

        Raises:
            EngineError: see `northstar.connectors.errors`.
        """
        return await self._running.run(self._run(job, report), job_id=job.id)

    async def close(self) -> None:
        """End the jobs that still run, with `EngineGone`, and close all connections."""
        await self._running.close()
        await self._http.close()

    async def _run(self, job: ConnectorJob, report: Report) -> ConnectorResult:
        request = comfy_request(job.payload, service=self.service, bounds=self._bounds)
        limit_s = self._patience.total_s if job.deadline_s is None else job.deadline_s
        started = self._clock()
        progress = RunProgress(request.node_classes, request.model_names)
        try:
            async with asyncio.timeout(limit_s) as whole:
                ended, recovered = await self._ended(job, request, progress, report)
                if ended.how != "success":
                    raise failure_of(ended, service=self.service)
                left = outputs_of(ended.outputs, most=self._bounds.outputs, service=self.service)
                _tell(report, progress.storing(len(left)))
                outputs = await fetched(left, self._server, job.workspace, expects=self._expects)
        except TimeoutError as error:
            if not whole.expired():
                raise
            kind = EngineTimeout if job.deadline_s is None else DeadlinePassed
            raise kind("end of the run", service=self.service, limit_s=limit_s) from error
        summary = {
            "run_id": run_id_of(self.service, job.id),
            "nodes": len(request.graph),
            "cached_nodes": progress.cached,
            "recovered": recovered,
            "run_s": round(self._clock() - started, 6),
        }
        return ConnectorResult(outputs=outputs, summary=summary)

    async def _ended(
        self, job: ConnectorJob, request: ComfyRequest, progress: RunProgress, report: Report
    ) -> tuple[Ended, bool]:
        """The end of the job's run, and whether the run was there before."""
        run_id = run_id_of(self.service, job.id)
        # The socket's name is the run's, so that whoever follows the run later hears it too.
        client_id = run_id.replace("-", "")

        def hear(frame: Frame) -> None:
            _tell(report, progress.hear(frame, now=self._clock()))

        def hear_queued(ahead: int) -> None:
            _tell(report, progress.queued(ahead))

        async with RunFollower(
            self._server, run_id=run_id, client_id=client_id, hear=hear, hear_queued=hear_queued
        ) as follower:
            known = await self._is_known(run_id)
            body = None if known else await self._body(request, run_id=run_id, client_id=client_id)
            try:
                if body is not None:
                    # A submission that was begun is finished: cut off, nobody would know whether there is a run to stop.
                    await to_the_end(self._submit(body, run_id))
                    hear_queued(0)
                return await follower.end(known=known), known
            except EngineRejected:
                raise
            except BaseException:
                await to_the_end(self._stop(run_id))
                raise

    async def _is_known(self, run_id: str) -> bool:
        """Whether the server runs, or has run, what the job asks for. An attempt that failed is forgotten."""
        place = await self._server.whereabouts(run_id)
        if isinstance(place, Ended) and place.how != "success":
            await self._server.forget(run_id)
            return False
        return place is not None

    async def _body(self, request: ComfyRequest, *, run_id: str, client_id: str) -> dict[str, Json]:
        """The call that submits the run, its inputs uploaded. Never with a `number`: null answers 500."""
        names: dict[str, str] = {}
        for name, description in request.inputs.items():
            data = await self._inputs.read(name, description)
            names[name] = await self._server.upload(stored_name(run_id, name), data)
        graph = marked(with_inputs(request.graph, names, service=self.service), run_id, saving=self._output_classes)
        body: dict[str, Json] = {"prompt": graph, "prompt_id": run_id, "client_id": client_id}
        return body | ({"extra_data": request.extra_data} if request.extra_data else {})

    async def _submit(self, body: Mapping[str, Json], run_id: str) -> None:
        submitted = await self._server.submit(body)
        if submitted.prompt_id == run_id and not submitted.node_errors:
            return
        # Accepted, but not as asked: under another name, or without the outputs that could not be validated.
        await self._stop(submitted.prompt_id)
        if submitted.node_errors:
            faults = node_faults(submitted.node_errors)
            raise EngineRejected(f"some outputs cannot be made: {'; '.join(faults)}", service=self.service)
        raise MalformedAnswer("it gives runs names of its own; newer servers keep ours", service=self.service)

    async def _stop(self, run_id: str) -> None:
        if not await stop_run(self._server, run_id, within_s=self._patience.stop_s):
            log.warning("run_not_stopped", service=self.service, run_id=run_id, within_s=self._patience.stop_s)


def _tell(report: Report, news: Progress | None) -> None:
    if news is not None:
        report(news)


def _ignore(_news: Progress) -> None:
    """The listener of a warm-up."""
