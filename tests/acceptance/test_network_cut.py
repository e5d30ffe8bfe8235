"""The network to a machine is cut without a word, and another machine is killed: their jobs start elsewhere soon, and are done once."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.acceptance.site import SOON, Site, site
from tests.cable import cable
from tests.conftest import LONG, chosen_profile
from tests.servers import RunningServer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

#: The long profile has the settings as they are shipped.
SETTINGS, CUT_S, SILENT_S, KILLED_S = ("", 30.0, 10.0, 10.0) if chosen_profile() == LONG else (SOON, 5.0, 5.0, 4.0)


async def starts_on(there: Site, job: str, machine: str, *, since_s: float) -> float:
    """Seconds from then until the job runs there."""
    await there.runs_on(job, machine)
    return time.monotonic() - since_s


async def test_jobs_of_a_machine_that_was_cut_off_and_of_one_that_was_killed_start_elsewhere_and_are_done_once(
    kill_server: RunningServer, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    async with site(kill_server.url, tmp_path, settings=SETTINGS) as there:
        _, port = await there.serve("broker")
        async with cable(port) as line:
            _, killed = await asyncio.gather(
                there.machine("far", line.url, slots=1), there.machine("killed", f"http://127.0.0.1:{port}", slots=1)
            )
            await there.submit("a", "b", service="copy", until=str(go))
            for job in "ab":
                await there.becomes(job, "running")
            by_machine = {(await there.record(job)).machine: job for job in "ab"}
            await there.machine("spare", f"http://127.0.0.1:{port}", slots=2)

            line.cut()
            killed.popen.kill()
            since_s = time.monotonic()
            killed_s, silent_s = await asyncio.gather(
                starts_on(there, by_machine["killed"], "spare", since_s=since_s),
                starts_on(there, by_machine["far"], "spare", since_s=since_s),
            )
            print(f"started elsewhere {killed_s:.1f} s after the kill, {silent_s:.1f} s after the cut")
            assert killed_s < KILLED_S
            assert silent_s < SILENT_S

            await asyncio.sleep(max(0.0, since_s + CUT_S - time.monotonic()))
            line.mend()
            await there.machines_include("far")
            await there.submit("c", "d")  # the spare one has no slot left
            await there.becomes("d", "succeeded")
            go.touch()
            for job in "abc":
                await there.becomes(job, "succeeded")
        history = await there.check_each_done_once("abcd")
        assert history.machines_of("d") == ["far"]
        assert {job: known.record.recoveries for job, known in history.jobs.items()} == {"a": 1, "b": 1, "c": 0, "d": 0}
