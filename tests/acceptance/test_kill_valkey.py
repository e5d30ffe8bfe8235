"""`kill -9` of the server itself while jobs are submitted, claimed and completed; it starts again on the same data.

With `appendfsync always` an answer is given only when its writes are on the disk, so nothing that was acknowledged may be
missing, ever. With `everysec` the server answers before, while a sync is under way, so a kill in that moment can take back
the last acknowledged writes: the promise then is that clients who submit again what they miss end with every job done once.
"""

from __future__ import annotations

import bisect
import contextlib
import os
import random
import signal
import time
from pathlib import Path

import pytest

from northstar.domain.errors import Unavailable
from northstar.store.embedded import EmbeddedValkey, RestartPolicy, ServerOptions
from tests.acceptance.history import History
from tests.acceptance.stage import JOBS, Stage, moment, stage
from tests.conftest import LONG, chosen_profile
from tests.servers import eventually

pytestmark = pytest.mark.timeout(2_400 if chosen_profile() == LONG else 180)

KILLS = 24 if chosen_profile() == LONG else 6
RESTART = RestartPolicy(limit=1_000, first_delay_s=0.05, max_delay_s=0.05)


async def kill_server(server: EmbeddedValkey) -> int:
    """Kill it, and wait until its successor answers. Gives a moment between the two, in ms since 1970."""
    before = server.pid
    os.kill(before, signal.SIGKILL)
    between_ms = int((time.time() + RESTART.first_delay_s / 2) * 1_000)

    async def is_back() -> bool:
        with contextlib.suppress(Unavailable):
            return server.pid != before and (await server.health()).is_well
        return False

    await eventually(is_back, what="the server is back")
    return between_ms


async def run_jobs_while_the_server_is_killed(cell: Stage, server: EmbeddedValkey, rng: random.Random) -> list[int]:
    """Gives the moments of the kills."""
    cell.dispatcher()
    cell.worker("m1")
    cell.worker("m2")
    client = cell.client(pause_s=0.02)
    cell.forget(client)
    moments = []
    for done in sorted(rng.sample(range(20, JOBS - 100), KILLS)):
        await cell.reaches("succeeded", done)
        await moment(rng.uniform(0, 0.1))
        moments.append(await kill_server(server))
    assert await client.ended(within_s=90) == 0
    return moments


def check(history: History, killed_ms: list[int]) -> None:
    history.check_numbers()
    history.check_each_done_once(JOBS)
    history.check_recoveries()
    lives: dict[int, set[int]] = {}
    for event in history.events:
        lives.setdefault(event.id.epoch, set()).add(bisect.bisect(killed_ms, event.at_ms))
    assert all(len(servers) == 1 for servers in lives.values()), f"an epoch spans the end of a server: {lives}"
    print(f"{JOBS} jobs, {KILLS} kills of the server, {history.recoveries} recoveries, {len(lives)} epochs")


async def test_nothing_acknowledged_is_lost_when_every_write_is_synced(tmp_path: Path) -> None:
    options = ServerOptions(fsync="always", restart=RESTART)
    async with EmbeddedValkey(options=options) as server, stage(server.url, tmp_path, seed=20) as cell:
        killed_ms = await run_jobs_while_the_server_is_killed(cell, server, random.Random(20))
        await cell.reaches("succeeded", JOBS)
        history = await cell.history()
        check(history, killed_ms)
        history.check_starts(cell.noted("started"))
        assert {job for _, job, _ in cell.noted("accepted")} == set(history.jobs)


async def test_clients_that_submit_again_what_they_miss_get_each_job_once_when_writes_are_synced_each_second(
    tmp_path: Path,
) -> None:
    options = ServerOptions(fsync="everysec", restart=RESTART)
    async with EmbeddedValkey(options=options) as server, stage(server.url, tmp_path, seed=30) as cell:
        killed_ms = await run_jobs_while_the_server_is_killed(cell, server, random.Random(30))
        again = cell.client(batch=200)
        cell.forget(again)
        assert await again.ended(within_s=60) == 0
        await cell.reaches("succeeded", JOBS)
        check(await cell.history(), killed_ms)
