"""A broker is gone just when a job has finished: its machine holds what it has made, and nobody pays for the wait."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.acceptance.site import site
from tests.cable import cable
from tests.servers import RunningServer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180), pytest.mark.long]

#: Longer than a handful of tries takes, and shorter than a lease.
AWAY_S = 12.0


async def test_a_broker_that_is_away_for_a_while_charges_no_finished_job(
    kill_server: RunningServer, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    async with site(kill_server.url, tmp_path, settings="") as there:
        broker, port = await there.serve("broker")
        async with cable(port) as line:
            await there.machine("m", line.url, slots=1)
            await there.submit("a", service="copy", until=str(go))
            await there.becomes("a", "running")
            broker.popen.kill()
            broker.popen.wait()
            go.touch()
            await asyncio.sleep(AWAY_S)
            _, line.targets[0] = await there.serve("successor")
            await there.becomes("a", "succeeded")
            record = await there.record("a")
    assert (record.attempts, record.recoveries, record.claims) == (0, 0, 1)
