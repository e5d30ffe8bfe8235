"""The same workload and fleet in real time: real agents with real model folders and links, the real dispatcher, and the clock on the wall.

Only the engine is not real: it takes the time that the simulation takes for it, load and work.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import msgspec

from northstar.agent.direct_link import DirectLink
from northstar.agent.model_keeper import ModelKeeper
from northstar.agent.model_runner import ModelRunner
from northstar.agent.worker import Worker
from northstar.agent.worker_settings import WorkerSettings
from northstar.assembly.routing import declare_places, parts_in_force
from northstar.broker.dispatch import Dispatcher
from northstar.broker.durations import Durations
from northstar.broker.submission import Submitter
from northstar.domain.jobs import ClaimedJob, JobRequest
from northstar.domain.limits import CellLimits
from northstar.domain.progress import Progress
from northstar.policy.fleet.engine_memory import EngineMemory
from northstar.simulation.finished_runs import RunsSeen
from northstar.simulation.inputs import SimulatedJob, SimulatedMachine
from northstar.store.cell import Cell
from northstar.store.model_reports import ModelReports
from northstar.store.valkey import connect
from tests.agent.models.builders import safetensors, store
from tests.agent.rig import nonce
from tests.servers import eventually


class Began:
    """Where each job's work began, and how many seconds after its submit."""

    def __init__(self) -> None:
        self.machine: dict[str, str] = {}
        self.waited_s: dict[str, float] = {}
        self.submitted_s: dict[str, float] = {}

    def note(self, job_id: str, machine: str) -> None:
        self.machine[job_id] = machine
        self.waited_s[job_id] = time.monotonic() - self.submitted_s[job_id]


class TimedEngine:
    """Loads what is not in memory, then works for as long as the workload says."""

    def __init__(self, machine: SimulatedMachine, jobs: dict[str, SimulatedJob], began: Began) -> None:
        self._machine = machine
        self._jobs = jobs
        self._began = began
        self._memory = EngineMemory(vram_bytes=machine.vram_mb * 1_000_000)

    async def run(self, job: ClaimedJob, report: Callable[[Progress], None]) -> str:
        body = job.read_body()
        needs, resident = body.requires.models, set(self._memory.resident())
        unloaded = sum(need.size_bytes for need in needs if need.name not in resident)
        self._memory = self._memory.used(body.service, [(need.name, need.size_bytes) for need in needs])
        await asyncio.sleep(unloaded / self._machine.load_bytes_per_s)
        self._began.note(job.id, self._machine.id)
        await asyncio.sleep(self._jobs[job.id].seconds_on(self._machine.gpu_class))
        return "null"


async def in_real_time(
    url: str, jobs: Sequence[SimulatedJob], fleet: Sequence[SimulatedMachine], folder: Path
) -> Began:
    """Submit each job at its moment, and wait until all have ended."""
    began, name = Began(), f"real{nonce()}"
    by_id = {f"j{number}": job for number, job in enumerate(jobs, 1)}
    async with contextlib.AsyncExitStack() as stack:

        async def opened() -> Cell:
            client = connect(url)
            stack.push_async_callback(client.aclose)
            cell = Cell(client, name)
            await cell.open(CellLimits())
            return cell

        cell = await opened()
        parts = await parts_in_force(cell, estimates=Durations(RunsSeen(), every_s=5.0), pools=None)
        await declare_places(cell, parts, by="test")
        dispatcher = Dispatcher(await opened(), new_nonce=nonce, terms=parts.ranking_terms)
        await stack.enter_async_context(_running(dispatcher.run()))
        for machine in fleet:
            engine = TimedEngine(machine, by_id, began)
            await stack.enter_async_context(_at_work(await opened(), machine, engine, folder / machine.id))
        await eventually(lambda: _are_parked(cell, len(fleet)), what="all machines wait for work")
        submitter = Submitter(
            cell, new_id=nonce, monotonic=time.monotonic, router=parts.router(), catalogue=parts.catalogue
        )
        start_s = time.monotonic()
        for job_id, job in by_id.items():
            await asyncio.sleep(max(0.0, start_s + job.at_ms / 1000 - time.monotonic()))
            began.submitted_s[job_id] = time.monotonic()
            await submitter.submit([_named(job, job_id)])
        await eventually(lambda: _have_ended(cell, list(by_id)), what="all jobs have ended")
    return began


def _named(job: SimulatedJob, job_id: str) -> JobRequest:
    return msgspec.structs.replace(job.request, id=job_id)


async def _are_parked(cell: Cell, count: int) -> bool:
    return bool(await cell.client.execute_command("ZCARD", cell.keys["parked"]) == count)


async def _have_ended(cell: Cell, ids: list[str]) -> bool:
    return all(job.record.finished_ms for job in (await cell.inspect(ids)).jobs)


@contextlib.asynccontextmanager
async def _running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


@contextlib.asynccontextmanager
async def _at_work(cell: Cell, machine: SimulatedMachine, engine: TimedEngine, folder: Path) -> AsyncIterator[None]:
    models = folder / "checkpoints"
    models.mkdir(parents=True)
    for file in machine.disk:
        (models / file.name).write_bytes(safetensors(3_000))
    async with store(folder) as kept:
        session = nonce()
        keeper = ModelKeeper(
            kept,
            ModelReports(cell, machine=machine.id, session=session),
            said=machine.description(),
            vram_bytes=machine.vram_mb * 1_000_000,
        )
        worker = Worker(
            DirectLink(cell, machine=machine.id, session=session, new_nonce=nonce),
            ModelRunner(engine, kept, used=keeper.used),
            profile=machine.profile(),
            presence=keeper,
            settings=WorkerSettings(slots=machine.slots),
            jitter=lambda: 0.0,
        )
        async with _running(keeper.run()):
            working = asyncio.create_task(worker.run())
            try:
                yield
            finally:
                worker.stop()
                await working
