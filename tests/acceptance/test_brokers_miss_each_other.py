"""A `serve` that vanishes is missed by the others, at the settings as shipped: what died with it is soon lost, what lives loses nothing."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

import pytest

from tests.acceptance.site import site, until
from tests.cable import cable
from tests.servers import RunningServer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

#: From the loss of a machine until its job runs elsewhere.
PROMISED_S = 10.0
#: More than `serve.grace_s`, and a look of the dispatcher.
GIVEN_UP_S = 5.5
#: Long enough to be missed, were it not for its connections; its machine misses it and dials it again.
HELD_UP_S = 7.0


async def test_a_job_lost_with_its_machine_and_its_broker_starts_elsewhere_in_time(
    kill_server: RunningServer, tmp_path: Path
) -> None:
    async with site(kill_server.url, tmp_path, settings="") as there:
        one, its_port = await there.serve("one")
        two, other_port = await there.serve("two")
        lost = await there.machine("lost", f"http://127.0.0.1:{its_port}", slots=1)
        await there.submit("a", service="copy", until=str(tmp_path / "never"))
        await there.runs_on("a", "lost")
        await there.machine("other", f"http://127.0.0.1:{other_port}", slots=1)
        one.popen.kill()
        lost.popen.kill()
        since_s = time.monotonic()
        record = await there.runs_on("a", "other")
        took_s = time.monotonic() - since_s
        print(f"the job ran elsewhere {took_s:.1f} s after its machine and its broker were killed")
        assert took_s < PROMISED_S
        assert (record.attempts, record.recoveries) == (0, 1)
        assert "broker_gone" in two.words()


@pytest.mark.long
async def test_a_job_lost_with_its_machine_and_the_host_of_its_broker_starts_elsewhere_as_soon_as_is_set(
    kill_server: RunningServer, tmp_path: Path
) -> None:
    """Both stand still with their connections open, as a host looks from outside that has lost its power."""
    async with site(kill_server.url, tmp_path, settings="[serve]\nsilence_s = 6.5\n") as there:
        one, its_port = await there.serve("one")
        two, other_port = await there.serve("two")
        lost = await there.machine("lost", f"http://127.0.0.1:{its_port}", slots=1)
        await there.submit("a", service="copy", until=str(tmp_path / "never"))
        await there.runs_on("a", "lost")
        await there.machine("other", f"http://127.0.0.1:{other_port}", slots=1)
        for process in (one, lost):
            process.popen.send_signal(signal.SIGSTOP)
        since_s = time.monotonic()
        record = await there.runs_on("a", "other")
        took_s = time.monotonic() - since_s
        print(f"the job ran elsewhere {took_s:.1f} s after the host of its machine and its broker had stopped")
        assert took_s < PROMISED_S
        assert (record.attempts, record.recoveries) == (0, 1)
        assert "broker_gone" in two.words()


@pytest.mark.long
async def test_a_machine_that_outlives_its_broker_goes_on_with_its_job_by_another(
    kill_server: RunningServer, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    async with site(kill_server.url, tmp_path, settings="") as there:
        one, its_port = await there.serve("one")
        two, other_port = await there.serve("two")
        async with cable(its_port) as line:
            await there.machine("m", line.url, slots=1)
            await there.submit("a", service="copy", until=str(go))
            await there.runs_on("a", "m")
            one.popen.kill()
            line.targets = [other_port]
            await until(two, lambda: "machines_without_broker" in two.words(), what="the other one misses it")
            await asyncio.sleep(GIVEN_UP_S)  # in which the machine would have been given up
            go.touch()
            record = await there.becomes("a", "succeeded")
        assert (record.attempts, record.recoveries, record.claims) == (0, 0, 1)


@pytest.mark.long
async def test_a_broker_that_stands_still_for_some_seconds_is_not_taken_for_gone(
    kill_server: RunningServer, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    async with site(kill_server.url, tmp_path, settings="") as there:
        one, its_port = await there.serve("one")
        two, _ = await there.serve("two")
        await there.machine("m", f"http://127.0.0.1:{its_port}", slots=1)
        await there.submit("a", service="copy", until=str(go))
        await there.runs_on("a", "m")
        one.popen.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(HELD_UP_S)
        finally:
            one.popen.send_signal(signal.SIGCONT)
        # Whoever had been suspected would be lost by then.
        await asyncio.sleep(GIVEN_UP_S)
        assert "broker_gone" not in two.words()
        go.touch()
        record = await there.becomes("a", "succeeded")
        assert (record.attempts, record.recoveries, record.claims) == (0, 0, 1)
