"""No idle machine stands beside a job that it could start, for more than a second: whatever is killed, cut or raced meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from northstar.domain.errors import Unavailable
from northstar.store.cell import Cell
from tests.acceptance.processes import Child
from tests.acceptance.stage import Stage, stage
from tests.acceptance.watcher import Watcher
from tests.conftest import LONG, chosen_profile
from tests.servers import RunningServer, eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(2_400 if chosen_profile() == LONG else 180)]

FOR_S = 900.0 if chosen_profile() == LONG else 12.0


class Troop:
    """Worker processes of three machines each, the first of which holds a model, and dispatchers; some die, others come."""

    def __init__(self, cell: Stage, rng: random.Random) -> None:
        self._stage = cell
        self._rng = rng
        self._count = 0
        self._workers: dict[Child, tuple[str, ...]] = {}
        self._dispatchers: dict[Child, str] = {}
        self.killed = 0

    def add_worker(self) -> None:
        self._count += 1
        names = tuple(f"w{self._count}-{place}" for place in ("warm", "cold", "chilly"))
        child = self._stage.worker(*names, slots=2, models=("alpha",), download_bytes_per_s=1e9)
        self._workers[child] = names

    def add_dispatcher(self) -> None:
        self._count += 1
        name = f"dispatcher{self._count}"
        self._dispatchers[self._stage.dispatcher(name)] = name

    def alive(self) -> tuple[dict[str, Path], list[Path]]:
        beats = {name: self._stage.heartbeat(names[0]) for names in self._workers.values() for name in names}
        return beats, [self._stage.heartbeat(name) for name in self._dispatchers.values()]

    def strike(self) -> None:
        """Kill, stop or replace somebody."""
        if self._rng.random() < 0.5:
            child = self._rng.choice(list(self._dispatchers))
            del self._dispatchers[child]
            self._stage.kill(child)
            self.add_dispatcher()
        else:
            child = self._rng.choice(list(self._workers))
            del self._workers[child]
            if self._rng.random() < 0.5:
                self._stage.kill(child)
            else:
                self._stage.forget(child)
                child.stop()
            self.add_worker()
        self.killed += 1


async def cut_bells(cell: Cell, rng: random.Random, cuts: list[int]) -> None:
    """Cut everybody's bells at random moments; how many connections were cut is added to `cuts`."""
    while True:
        await asyncio.sleep(rng.expovariate(1 / 0.5))
        cuts.append(await cell.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub"))


async def pause_at_random(cell: Cell, rng: random.Random) -> None:
    while True:
        await asyncio.sleep(rng.expovariate(1 / 2))
        with contextlib.suppress(Unavailable):
            await cell.pause("cell", because="test", by="test")
            await asyncio.sleep(0.1)
            await cell.resume("cell", by="test")


@contextlib.asynccontextmanager
async def meanwhile(*works: object) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(work) for work in works]  # type: ignore[call-overload]
    try:
        yield
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_no_wake_up_is_lost_under_races_cut_bells_and_deaths(kill_server: RunningServer, tmp_path: Path) -> None:
    rng = random.Random(99)
    async with stage(kill_server.url, tmp_path, seed=40) as cell:
        await cell.cell.declare(["model:alpha"], by="test")
        troop = Troop(cell, rng)
        for _ in range(2):
            troop.add_dispatcher()
            troop.add_worker()
        watcher, cuts = Watcher(cell.cell, troop.alive), [0]
        hunters = [cell.hunter(name, for_s=FOR_S, pause_s=0.05) for name in ("x", "y")]
        for hunter in hunters:
            cell.forget(hunter)
        async with meanwhile(watcher.watch(), cut_bells(cell.cell, rng, cuts), pause_at_random(cell.cell, rng)):
            while any(hunter.is_running for hunter in hunters):
                await asyncio.sleep(rng.uniform(0.5, 2.5))
                troop.strike()
            await everything_is_done(cell)
        history = await cell.history()
        print(
            f"{len(history.jobs)} jobs, {sum(cuts)} bells cut, {troop.killed} processes killed or stopped, {watcher.samples} samples, "
            f"longest idle beside a ready job {watcher.longest_s:.2f} s"
        )
        assert watcher.found == []
        assert watcher.samples > FOR_S
        history.check_numbers()
        history.check_recoveries()
        hunted = {job for jobs in cell.noted("hunted") for job in jobs}
        assert hunted <= set(history.jobs)
        assert {job.record.status for job in history.jobs.values()} <= {"succeeded", "canceled"}
        assert set(history.counted("job.succeeded").values()) == {1}


async def everything_is_done(cell: Stage, *, within_s: float = 60) -> None:
    async def is_so() -> bool:
        with contextlib.suppress(Unavailable):
            return await cell.count("live") == 0
        return False

    await eventually(is_so, what="every job is done", within_s=within_s)
