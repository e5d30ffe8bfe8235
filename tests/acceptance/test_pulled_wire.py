"""The wire between a broker and a machine is pulled for half a minute, at the settings as they are shipped; nothing stands in for the network."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.acceptance.namespaces import BROKER, two_hosts
from tests.acceptance.site import site
from tests.servers import RunningServer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240), pytest.mark.long]

PULLED_S, ELSEWHERE_S, BLINK_S = 30.0, 10.0, 2.0


async def test_a_pulled_wire_costs_a_job_ten_seconds_and_a_blink_costs_nothing(
    kill_server: RunningServer, tmp_path: Path
) -> None:
    go, later = tmp_path / "go", tmp_path / "later"
    with two_hosts() as hosts:
        async with site(kill_server.url, tmp_path, settings="") as there:
            _, port = await there.serve("broker", host=BROKER, before=hosts.on_broker())
            url = f"http://{BROKER}:{port}"
            await there.machine("far", url, slots=1, before=hosts.on_machine())
            await there.submit("a", service="copy", until=str(go))
            await there.becomes("a", "running")
            hosts.pull()
            await asyncio.sleep(BLINK_S)
            hosts.plug()
            await there.machine("near", url, slots=1, before=hosts.on_broker())
            assert (await there.record("a")).machine == "far"

            hosts.pull()
            pulled_s = time.monotonic()
            await there.runs_on("a", "near")
            elsewhere_s = time.monotonic() - pulled_s
            print(f"started elsewhere {elsewhere_s:.1f} s after the wire was pulled")
            assert elsewhere_s < ELSEWHERE_S
            await asyncio.sleep(max(0.0, pulled_s + PULLED_S - time.monotonic()))
            hosts.plug()
            await there.machines_include("far")
            await there.submit("b", service="copy", until=str(later))
            await there.runs_on("b", "far")
            for file in (go, later):
                file.touch()
            for job in "ab":
                await there.becomes(job, "succeeded")
            history = await there.check_each_done_once("ab")
            assert history.machines_of("a") == ["far", "near"]
            assert history.machines_of("b") == ["far"]
