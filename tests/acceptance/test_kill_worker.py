"""`kill -9` of workers, and workers that hang: no job is lost, none is done twice in the record, no user pays a retry."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.acceptance.stage import JOBS, SHORT_LIMITS, Stage, moment, stage
from tests.conftest import LONG, chosen_profile
from tests.servers import RunningServer, eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(2_400 if chosen_profile() == LONG else 180)]

KILLS = 24 if chosen_profile() == LONG else 8


async def kill_by_progress(stage: Stage, rng: random.Random, *, kills: int) -> None:
    """Kill one of three worker processes whenever so many more jobs are done; half of the time its name never comes back."""
    workers = [(name, stage.worker(name)) for name in ("m1", "m2", "m3")]
    for number, done in enumerate(sorted(rng.sample(range(20, JOBS - 100), kills))):
        await stage.reaches("succeeded", done)
        await moment(rng.uniform(0, 0.05))
        name, child = workers.pop(rng.randrange(len(workers)))
        stage.kill(child)
        name = name if rng.random() < 0.5 else f"m1{number}"
        workers.append((name, stage.worker(name)))


async def test_jobs_of_killed_workers_are_done_by_others_and_recorded_once(
    kill_server: RunningServer, tmp_path: Path
) -> None:
    rng = random.Random(20_250_826)
    async with stage(kill_server.url, tmp_path, seed=1) as cell:
        cell.dispatcher()
        client = cell.client()
        cell.forget(client)
        await kill_by_progress(cell, rng, kills=KILLS)
        await cell.reaches("succeeded", JOBS)
        history = await cell.history()
        history.check_numbers()
        history.check_each_done_once(JOBS)
        history.check_starts(cell.noted("started"))
        history.check_recoveries()
        assert history.recoveries > 0
        print(f"{JOBS} jobs, {KILLS} kills of workers, {history.recoveries} recoveries")


async def test_the_late_results_of_a_worker_that_hung_are_refused_by_the_fence(
    kill_server: RunningServer, tmp_path: Path
) -> None:
    async with stage(kill_server.url, tmp_path, seed=2, limits=SHORT_LIMITS) as cell:
        cell.dispatcher()
        # Renews too rarely to hear of the loss before its results are ready.
        hung = cell.worker("hung", renew_every_s=60)
        cell.forget(cell.client(last=200))
        await cell.reaches("succeeded", 20)
        hung.freeze()
        healthy = cell.worker("healthy")
        await cell.reaches("succeeded", 200)
        assert healthy.is_running
        hung.thaw()

        async def refused() -> bool:
            return bool(cell.noted("refused"))

        await eventually(refused, what="the fence refuses a late result")
        history = await cell.history()
        history.check_numbers()
        history.check_each_done_once(200)
        history.check_starts(cell.noted("started"))
        history.check_recoveries()
        assert {code for _, code in cell.noted("refused")} <= {"NS_LEASE_LOST", "NS_JOB_FINISHED"}
