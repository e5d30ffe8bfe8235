"""From a worker's run to its row in the history, through a real cell: what it took, what its machine costs, how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from northstar.agent.gpu_memory_watch import GpuMemoryWatch
from northstar.agent.hardware import find_gpus, used_memory_mb
from northstar.agent.presence import FixedPresence
from northstar.agent.run_meter import RunMeters
from northstar.domain.machines import MachineDescription
from northstar.store.history import Attempt, AttemptReader, HistoryDatabase, HistoryWriter
from tests.agent.nvidia_smi import H200, fake_nvidia_smi
from tests.agent.rig import Rig, soon
from tests.agent.test_run_reports import Telling
from tests.servers import eventually

SPOT = MachineDescription(gpu="NVIDIA GeForce RTX 4090", region="eu", price_usd_per_hour=0.4)


@pytest_asyncio.fixture
async def rig(either_rig: Rig) -> Rig:
    return either_rig


@pytest_asyncio.fixture
async def attempts(rig: Rig, tmp_path: Path) -> AsyncIterator[AttemptReader]:
    """What reads the history that is written beside the test."""
    database = HistoryDatabase(f"sqlite:///{tmp_path}/history.db")
    await database.open()
    writer = HistoryWriter(await rig.opened(), database, jitter=lambda: 0.5, wait_ms=50, gather_s=0.0)
    task = asyncio.create_task(writer.run())
    async with rig.dispatching():
        yield AttemptReader(database, cell=rig.name)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await database.close()


async def ended(reader: AttemptReader, count: int) -> list[Attempt]:
    """The first so many attempts, once they are there."""
    found: list[Attempt] = []

    async def are_there() -> bool:
        found[:] = (await reader.earliest()).attempts
        return len(found) >= count

    await eventually(are_there, what=f"{count} attempts are in the history")
    return found


async def test_a_run_is_in_the_history_with_what_it_took_and_what_its_machine_costs(
    rig: Rig, attempts: AttemptReader
) -> None:
    runs = Telling()
    async with rig.working(rig.worker(await rig.link(), runs, presence=FixedPresence(SPOT))):
        await rig.submit("a", user="u7", session="s1")
        await soon(lambda: runs.ids == ["a"], "a runs")
        runs.finish("a")
        (one,) = await ended(attempts, 1)
    assert (one.outcome, one.machine, one.gpu_class, one.price_usd_per_hour) == ("succeeded", "m", "rtx-4090", 0.4)
    assert (one.user, one.session, one.service, one.pool) == ("u7", "s1", "waits", "standard")
    assert (one.fetched_bytes, one.queued_s is not None, one.running_s is not None) == (5, True, True)


async def test_a_run_whose_machine_is_killed_is_lost_at_its_machines_price(rig: Rig, attempts: AttemptReader) -> None:
    """Nothing is told by a machine that is killed; the cell notices, and the history knows what it was."""
    hung, healthy = Telling(), Telling()
    killed = asyncio.create_task(rig.worker(await rig.link("spot"), hung, presence=FixedPresence(SPOT)).run())
    await rig.registered("spot")
    await rig.submit("a")
    await soon(lambda: hung.ids == ["a"], "a runs")
    killed.cancel()
    await asyncio.wait([killed])
    async with rig.working(rig.worker(await rig.link("healthy"), healthy)):
        await soon(lambda: healthy.ids == ["a"], "a runs again")
        healthy.finish("a")
        lost, won = await ended(attempts, 2)
    assert (lost.outcome, lost.machine, lost.price_usd_per_hour, lost.running_s) == ("lost", "spot", 0.4, None)
    assert (won.outcome, won.machine, won.price_usd_per_hour) == ("succeeded", "healthy", None)
    assert (lost.claim, won.claim, lost.attempt, won.attempt) == (1, 2, 1, 1)


async def test_the_gpu_memory_that_a_run_took_is_in_its_row_where_it_ran_alone(
    rig: Rig, attempts: AttemptReader, tmp_path: Path
) -> None:
    """Asked of the driver's own program while the job runs, MB; a run that shared the card has none."""
    meters = RunMeters(time.monotonic)
    environment = fake_nvidia_smi(tmp_path, H200, uses="0, GPU-0e1b7c2a-5d7f-4b3c-9a52-1f0b6f5d9c11, 10240\n")
    (card,) = (await find_gpus(environment)).gpus
    looked = asyncio.Event()

    async def ask() -> int | None:
        used_mb = await used_memory_mb(environment, card)
        asyncio.get_running_loop().call_soon(looked.set)
        return used_mb

    watching = asyncio.create_task(GpuMemoryWatch(ask, meters, every_s=0.01).run())
    runs = Telling()
    try:
        async with rig.working(rig.worker(await rig.link(), runs, presence=FixedPresence(SPOT), meters=meters)):
            await rig.submit("alone")
            await soon(lambda: runs.ids == ["alone"], "the first runs")
            looked.clear()
            await asyncio.wait_for(looked.wait(), 20.0)
            runs.finish("alone")
            await ended(attempts, 1)
            await rig.submit("b", "c")
            await soon(lambda: len(runs.ids) == 3, "two run side by side")
            runs.finish("b")
            runs.finish("c")
            rows = await ended(attempts, 3)
    finally:
        watching.cancel()
        await asyncio.wait({watching})
    assert {row.job_id: row.peak_vram_mb for row in rows} == {"alone": 10_737, "b": None, "c": None}
