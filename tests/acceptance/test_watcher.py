"""The watcher of the hunt finds a lost wake-up when there is one; a hunt that cannot find proves nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from northstar.agent.direct_link import DirectLink
from northstar.domain.jobs import JobRequest
from northstar.domain.machines import MachineDescription, MachineProfile
from tests.acceptance.heartbeat import beat
from tests.acceptance.orders import nonce
from tests.acceptance.stage import Stage, stage
from tests.acceptance.test_kill_dispatcher import submitter_on
from tests.acceptance.watcher import LIMIT_S, Watcher
from tests.servers import RunningServer, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


@contextlib.asynccontextmanager
async def watched(cell: Stage, folder: Path) -> AsyncIterator[Watcher]:
    pulse = folder / "pulse"
    watcher = Watcher(cell.cell, lambda: ({"m": pulse}, [pulse]))
    tasks = [asyncio.create_task(beat(pulse)), asyncio.create_task(watcher.watch())]
    try:
        yield watcher
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def machine(cell: Stage, *, slots: int) -> DirectLink:
    link = DirectLink(cell.cell, machine="m", session=nonce(), new_nonce=nonce)
    profile = MachineProfile(pools=("standard",), services=("waits",))
    await link.register(profile, MachineDescription(), slots=slots, models=())
    return link


async def test_a_machine_that_sleeps_beside_a_waiting_job_is_found(kill_server: RunningServer, tmp_path: Path) -> None:
    async with stage(kill_server.url, tmp_path, seed=60) as cell, watched(cell, tmp_path) as watcher:
        await machine(cell, slots=1)
        await submitter_on(cell).submit([JobRequest(service="waits", id="a")])

        async def is_found() -> bool:
            return bool(watcher.found)

        await eventually(is_found, what="the watcher finds it", within_s=30 * LIMIT_S)
        assert "machine='m'" in watcher.found[0]


async def test_a_machine_whose_slots_are_taken_is_not_idle(kill_server: RunningServer, tmp_path: Path) -> None:
    async with stage(kill_server.url, tmp_path, seed=61) as cell, watched(cell, tmp_path) as watcher:
        link = await machine(cell, slots=1)
        submitter = submitter_on(cell)
        await submitter.submit([JobRequest(service="waits", id="a"), JobRequest(service="waits", id="b")])
        assert len((await link.claim(credits_=1)).jobs) == 1
        before = watcher.samples

        async def looked() -> bool:
            return watcher.samples > before + 30 * LIMIT_S

        await eventually(looked, what="the watcher looked for long enough")
        assert watcher.found == []
