"""`kill -9` of the submitting client in the middle of its batches: submitted again by id or by idempotency key, every job exists once."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.acceptance.stage import JOBS, Stage, moment, stage
from tests.conftest import LONG, chosen_profile
from tests.servers import RunningServer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(2_400 if chosen_profile() == LONG else 180)]

KILLS = 24 if chosen_profile() == LONG else 8
#: A restarted client does not trust what it noted last, and begins so many jobs before.
BACK = 40


def goes_on_at(cell: Stage) -> int:
    return max((int(number) for number, _, _ in cell.noted("accepted")), default=0) + 1


async def test_jobs_that_a_killed_client_submits_again_exist_and_run_once(
    kill_server: RunningServer, tmp_path: Path
) -> None:
    rng = random.Random(4_711)
    async with stage(kill_server.url, tmp_path, seed=10) as cell:
        cell.dispatcher()
        cell.worker("m1", slots=16)
        cell.worker("m2", slots=16)
        client = cell.client(pause_s=0.005)
        cell.forget(client)
        for submitted in sorted(rng.sample(range(20, JOBS - 50), KILLS)):
            await cell.reaches("submitted", submitted)
            await moment(rng.uniform(0, 0.01))
            client.kill()
            client = cell.client(first=max(1, goes_on_at(cell) - BACK), pause_s=0.005)
            cell.forget(client)
        assert await client.ended() == 0
        await cell.reaches("succeeded", JOBS)

        history = await cell.history()
        history.check_numbers()
        history.check_each_done_once(JOBS)
        history.check_starts(cell.noted("started"))
        history.check_recoveries()
        ids: dict[int, set[str]] = {}
        for number, job, _ in cell.noted("accepted"):
            ids.setdefault(int(number), set()).add(job)
        assert set(ids) == set(range(1, JOBS + 1))
        assert all(len(known) == 1 for known in ids.values()), "a job was given two ids"
        replayed = sum(int(again) for _, _, again in cell.noted("accepted"))
        assert replayed > 0
        print(f"{JOBS} jobs, {KILLS} kills of the client, {replayed} submitted again")
