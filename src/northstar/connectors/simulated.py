"""Work that only takes time: for fleets without GPUs, for tests, and for trying out settings.

Every duration comes from the seed, the service and the job's id, so that a job takes the same time on every machine
whenever it runs. Whether a run fails is drawn anew for each run. Time comes from `sleep` and `clock`.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from northstar.connectors.contract import (
    INLINE_TEXT_BYTES,
    ConnectorJob,
    ConnectorResult,
    Json,
    Output,
    Report,
)
from northstar.connectors.errors import EngineError, EngineGone
from northstar.connectors.placing import placed_text
from northstar.connectors.running import RunningJobs
from northstar.connectors.simulated_engine import SimulatedEngine, Sleep
from northstar.connectors.simulated_fate import Fate, check_chances, failure, fate_of
from northstar.connectors.simulated_request import FailureKind, Instruction, SimulatedRequest, simulated_request
from northstar.connectors.simulated_time import FixedTime, StepTime, TimeRule, check_time
from northstar.domain.engine_facts import EngineFacts
from northstar.domain.models import ModelHeld
from northstar.domain.progress import Progress

_WORDS: Final = ("aurora", "beacon", "comet", "drift", "ember", "fathom", "glacier", "harbour")


class SimulatedSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a simulated service does. `failures` are probabilities of a run, by kind; together at most 1.

    `model` is used by jobs that name none; empty: such jobs need none. `streams` lets every step give a word of text.
    An engine that died is back after `restart_s`.
    """

    service: str
    seed: int = 0
    run: TimeRule = StepTime(step_s=0.1)
    load: TimeRule = FixedTime(seconds=0.0)
    model: str = ""
    steps: int = 10
    models_in_memory: int = 1
    side_by_side: int = 64
    failures: Mapping[FailureKind, float] = {}
    restart_s: float = 5.0
    streams: bool = False
    max_output_bytes: int = 1024 * 1024


class SimulatedConnector:
    """One simulated engine. `instance` tells machines with the same settings apart, so that they do not fail in step."""

    def __init__(
        self,
        settings: SimulatedSettings,
        *,
        instance: str = "",
        sleep: Sleep = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the settings.

        Raises:
            ValueError: a time, a probability or a count makes no sense.
        """
        _check(settings)
        self.service = settings.service
        self._settings = settings
        self._instance = instance
        self._sleep = sleep
        self._clock = clock
        self._runs = 0
        self._running = RunningJobs(service=settings.service)
        self.engine = SimulatedEngine(
            service=settings.service,
            side_by_side=settings.side_by_side,
            models_in_memory=settings.models_in_memory,
            sleep=sleep,
            clock=clock,
        )

    async def ready(self) -> None:
        """Return if the engine is alive, once its own model is loaded.

        Raises:
            EngineGone: it is dead.
        """
        await self.engine.during_life(self._load_own_model(), deadline_s=None)

    async def describe(self) -> EngineFacts:
        """What it is, and which models are loaded; they have no size.

        Raises:
            EngineGone: it is dead.
        """
        if not self.engine.alive:
            raise EngineGone("the simulated engine is dead", service=self.service)
        loaded = tuple(ModelHeld(name, "resident") for name in reversed(self.engine.resident))
        return EngineFacts(kind="simulated", models=loaded, tells_residency=True)

    async def run(self, job: ConnectorJob, report: Report) -> ConnectorResult:
        """Take the time that the job takes, in the user's order: queued, loading, running step by step, storing.

        Raises:
            EngineError: by chance or by order of the payload.
        """
        return await self._running.run(self._lived(job, report), job_id=job.id)

    async def close(self) -> None:
        """End the jobs that still run; they end with `EngineGone`."""
        await self._running.close()

    async def _load_own_model(self) -> None:
        if self._settings.model:
            load_s = self._drawn(self._settings.load, "load", self._settings.model, steps=1)
            async with self.engine.model(self._settings.model, load_s=load_s, loading=_nothing):
                return

    async def _lived(self, job: ConnectorJob, report: Report) -> ConnectorResult:
        return await self.engine.during_life(self._run(job, report), deadline_s=job.deadline_s)

    async def _run(self, job: ConnectorJob, report: Report) -> ConnectorResult:
        request = simulated_request(job.payload, service=self.service)
        steps = request.steps or self._settings.steps
        fate = self._fate(request.simulate, job, steps=steps)
        run_s = self._run_s(request, job, steps=steps)
        model = request.model or self._settings.model
        began = self._clock()
        async with self.engine.place(queued=lambda: report(Progress(message="queued"))):
            if not model:
                text = await self._steps(job, steps, run_s=run_s, fate=fate, report=report)
                loaded = False
            else:
                load_s = self._drawn(self._settings.load, "load", model, steps=1)
                news = Progress(phase="loading", model=model)
                async with self.engine.model(model, load_s=load_s, loading=lambda: report(news)) as loaded:
                    text = await self._steps(job, steps, run_s=run_s, fate=fate, report=report)
            report(Progress(phase="storing"))
            output = await self._output(text, request.simulate, job)
        summary: dict[str, Json] = {"steps": steps, "run_s": round(run_s, 6), "took_s": round(self._clock() - began, 6)}
        return ConnectorResult(outputs=(output,), summary=summary | {"model": model or None, "loaded": loaded})

    async def _steps(self, job: ConnectorJob, steps: int, *, run_s: float, fate: Fate | None, report: Report) -> str:
        rng = self._rng("words", job.id)
        said: list[str] = []
        for step in range(1, steps + 1):
            if fate is not None and step > fate.after_steps:
                break
            word = f"{rng.choice(_WORDS)} " if self._settings.streams else None
            said.append(word or "")
            report(Progress(phase="running", fraction=(step - 1) / steps, step=step, steps=steps, tokens=word))
            await self._sleep(run_s / steps)
        if fate is not None:
            if fate.kind == "gone":
                self.engine.die(for_s=self._settings.restart_s)
                await asyncio.Event().wait()  # the death ends this job like all others
            raise self._failure(fate.kind)
        return "".join(said) or f"{self.service}: {job.id} ran {steps} steps"

    def _fate(self, order: Instruction, job: ConnectorJob, *, steps: int) -> Fate | None:
        rng = self._rng("fate", self._instance, str(self._runs), job.id)
        self._runs += 1
        return fate_of(order, self._settings.failures, rng, steps=steps)

    def _failure(self, kind: FailureKind) -> EngineError:
        return failure(kind, service=self.service, max_output_bytes=self._settings.max_output_bytes)

    def _run_s(self, request: SimulatedRequest, job: ConnectorJob, *, steps: int) -> float:
        ordered = request.simulate.run_s
        return self._drawn(self._settings.run, "run", job.id, steps=steps) if ordered is None else ordered

    def _drawn(self, rule: TimeRule, *names: str, steps: int) -> float:
        return rule.drawn(self._rng(*names), steps=steps)

    def _rng(self, *names: str) -> random.Random:
        return random.Random("/".join((str(self._settings.seed), self.service, *names)))

    async def _output(self, text: str, order: Instruction, job: ConnectorJob) -> Output:
        wanted = len(text.encode()) if order.output_bytes is None else order.output_bytes
        if wanted > self._settings.max_output_bytes:
            raise self._failure("too_large")
        if wanted == 0:
            raise self._failure("empty")
        if order.output_bytes is not None:
            text = (text * (wanted // len(text) + 1))[:wanted]
        if wanted <= INLINE_TEXT_BYTES:  # no thread, so that runs on a virtual clock stay exactly repeatable
            return placed_text("result.txt", text, job.workspace)
        return await asyncio.to_thread(placed_text, "result.txt", text, job.workspace)


def _check(settings: SimulatedSettings) -> None:
    check_time(settings.run)
    check_time(settings.load)
    check_chances(settings.failures)
    if not (1 <= settings.steps <= 10_000 and settings.models_in_memory >= 1 and settings.side_by_side >= 1):
        raise ValueError("steps, models_in_memory and side_by_side must be at least 1")


def _nothing() -> None:
    """The listener of a warm-up."""
