"""Clocks of machines and brokers jump by hours, or are wrong from the start: leases, tokens and jobs go by the cell's clock."""

from __future__ import annotations

import asyncio
import datetime as dt
from pathlib import Path

import pytest

from northstar.store.embedded import EmbeddedValkey, ServerOptions
from northstar.store.embedded.binary import find_binary
from tests.acceptance.site import SOON, site
from tests.acceptance.wrong_clock import WrongClock
from tests.servers import RunningServer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

LEASE_S = 1.5
SETTINGS = SOON.replace("lease_ms = 3_000", "lease_ms = 1_500").replace("renew_every_s = 0.75", "renew_every_s = 0.4")
JSON = {"NORTHSTAR_LOG_JSON": "true"}
HOURS_OF_TEN_YEARS = 10 * 365.25 * 24


async def test_clocks_that_jump_by_hours_cost_no_job_its_lease_and_no_machine_its_token(
    kill_server: RunningServer, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    serves, works = WrongClock(tmp_path, "serves"), WrongClock(tmp_path, "works")
    async with site(kill_server.url, tmp_path, settings=SETTINGS) as there:
        _, port = await there.serve("broker", environment=serves.environment)
        url = f"http://127.0.0.1:{port}"
        agent = await there.machine("m", url, environment=works.environment | JSON)
        await there.submit("long", service="copy", until=str(go))
        await there.becomes("long", "running")
        for number, (machine_h, broker_h) in enumerate([(7, -3), (-12, 5)]):
            works.jump(hours=machine_h)
            serves.jump(hours=broker_h)
            await there.submit(f"short{number}")
            await there.becomes(f"short{number}", "succeeded")
            await asyncio.sleep(LEASE_S * 0.8)  # with what came before, longer than a lease that nobody renews
        agent.popen.kill()
        works.jump(hours=HOURS_OF_TEN_YEARS)
        again = await there.machine("future", url, environment=works.environment | JSON)
        year = dt.datetime.now(dt.UTC).year
        assert f'"timestamp":"{year + 10}-' in again.words()
        go.touch()
        await there.becomes("long", "succeeded")
        history = await there.check_each_done_once(["long", "short0", "short1"])
        # Its one loss is that of the machine which was killed at the end.
        assert history.machines_of("long") == ["m", "future"]
        assert history.recoveries == 1


@pytest.mark.long
async def test_a_server_whose_clock_jumps_ahead_by_hours_takes_no_job_from_its_machine(tmp_path: Path) -> None:
    go, clock = tmp_path / "go", WrongClock(tmp_path, "stores")
    options = ServerOptions(binary=clock.started(find_binary()))
    async with EmbeddedValkey(options=options) as server, site(server.url, tmp_path, settings=SETTINGS) as there:
        _, port = await there.serve("broker")
        await there.machine("m", f"http://127.0.0.1:{port}")
        await there.submit("long", service="copy", until=str(go))
        await there.becomes("long", "running")
        before_ms = (await there.cell.statistics()).counts["now_ms"]
        clock.jump(hours=7)
        await there.submit("short")
        await there.becomes("short", "succeeded")
        after_ms = (await there.cell.statistics()).counts["now_ms"]
        assert after_ms - before_ms > 7 * 3_600_000
        await asyncio.sleep(LEASE_S * 1.5)
        go.touch()
        await there.becomes("long", "succeeded")
        history = await there.check_each_done_once(["long", "short"])
        assert history.machines_of("long") == ["m"]
        assert history.recoveries == 0
