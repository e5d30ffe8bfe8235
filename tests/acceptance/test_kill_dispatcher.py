"""`kill -9` of the process that keeps a cell moving: another goes on, and a machine that waits gets its work within a second."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from northstar.broker.submission import Submitter
from northstar.domain.events import EventId
from northstar.domain.jobs import JobRequest, RetryRule
from northstar.store.events import read_events
from tests.acceptance.orders import nonce
from tests.acceptance.stage import SHORT_LIMITS, Stage, stage
from tests.servers import RunningServer, eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

#: What a death may cost, and what a busy computer may add.
LIMIT_MS, SLACK_MS = 1_000, 500
BACKOFF_S = 0.3


def submitter_on(cell: Stage) -> Submitter:
    return Submitter(cell.cell, new_id=lambda: nonce() + nonce(), monotonic=asyncio.get_running_loop().time, view_s=0)


async def parked(cell: Stage, count: int) -> None:
    async def is_so() -> bool:
        return await cell.count("parked_size") == count

    await eventually(is_so, what=f"{count} machines wait")


async def dispatchers_listen(cell: Stage, count: int) -> None:
    """A process that was started is no dispatcher before it hears the bells."""
    channel = cell.cell.keys.bell("tick")

    async def is_so() -> bool:
        answer = await cell.cell.client.execute_command("PUBSUB", "SHARDNUMSUB", channel)
        return int(answer[1]) == count

    await eventually(is_so, what=f"{count} dispatchers listen")


async def times(cell: Stage, job: str) -> dict[str, list[int]]:
    """When each kind of event met the job, in ms of the cell's clock."""
    found: dict[str, list[int]] = {}
    for event in await read_events(cell.cell.client, cell.cell.keys, after=EventId(0, 0), count=100_000):
        if event.subject == job:
            found.setdefault(event.kind, []).append(event.at_ms)
    return found


async def test_what_is_due_is_done_within_a_second_though_dispatchers_keep_dying(
    kill_server: RunningServer, tmp_path: Path
) -> None:
    rng = random.Random(50)
    async with stage(kill_server.url, tmp_path, seed=50, limits=SHORT_LIMITS) as cell:
        cell.worker("m1", slots=4)
        dispatchers = [cell.dispatcher("one"), cell.dispatcher("two")]
        await parked(cell, 1)
        submitter = submitter_on(cell)
        retry = RetryRule(max_attempts=3, backoff_s=BACKOFF_S, backoff_cap_s=BACKOFF_S)
        for number in range(1, 9):
            await dispatchers_listen(cell, 2)
            # Each failure is a due time that only a dispatcher can meet; one dies just before.
            payload = {"number": number, "work_ms": 5, "failures": 2}
            await submitter.submit([JobRequest(service="waits", id=f"j{number}", payload=payload, retry=retry)])
            await asyncio.sleep(rng.uniform(0.1, BACKOFF_S))
            cell.kill(dispatchers.pop(0))
            await cell.reaches("succeeded", number, within_s=20)
            dispatchers.append(cell.dispatcher(f"next{number}"))
        for number in range(1, 9):
            seen = await times(cell, f"j{number}")
            for failed_ms, started_ms in zip(seen["job.retrying"], seen["job.started"][1:], strict=True):
                late_ms = started_ms - failed_ms - BACKOFF_S * 1_000
                assert late_ms < LIMIT_MS + SLACK_MS, f"j{number} came {late_ms} ms after its time"


async def test_a_machine_that_waits_gets_new_work_though_no_dispatcher_is_left(
    kill_server: RunningServer, tmp_path: Path
) -> None:
    async with stage(kill_server.url, tmp_path, seed=51, limits=SHORT_LIMITS) as cell:
        dispatcher = cell.dispatcher()
        cell.worker("m1", slots=4)
        await parked(cell, 1)
        cell.kill(dispatcher)
        submitter = submitter_on(cell)
        for number in range(1, 21):
            await submitter.submit(
                [JobRequest(service="waits", id=f"j{number}", payload={"number": number, "work_ms": 1})]
            )
            await cell.reaches("succeeded", number, within_s=20)
        for number in range(1, 21):
            seen = await times(cell, f"j{number}")
            assert seen["job.started"][0] - seen["job.submitted"][0] < LIMIT_MS + SLACK_MS
