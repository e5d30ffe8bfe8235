"""`northstar up` with real processes: work done, restarts, signals, and no orphans."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.northstar_command import SETTINGS, Northstar, descendants, eventually, gone, is_alive
from tests.servers import embedded_valkey, redis7


@pytest.fixture
def northstar(tmp_path: Path) -> Northstar:
    return Northstar(tmp_path)


def jobs(count: int, **payload: object) -> str:
    return json.dumps(
        [{"id": f"job-{n}", "service": "copy", "payload": {"text": f"{n} "} | payload} for n in range(count)]
    )


def statuses(northstar: Northstar) -> dict[str, str]:
    return {job["id"]: job["status"] for job in northstar.good("jobs", "list")["jobs"]}


def worker_pid(up_pid: int) -> int:
    """The process of the machine `local` below `up`."""

    def found() -> list[int]:
        return [pid for pid in descendants(up_pid) if b"supervised\0local" in cmdline(pid)]

    eventually(lambda: bool(found()), what="a worker process runs")
    return found()[0]


def cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def test_a_job_is_done_without_naming_any_server(northstar: Northstar) -> None:
    with northstar.up() as up:
        (job,) = northstar.good("submit", "-", "--wait", stdin=jobs(1))["jobs"]
        asset = job["result"]["outputs"][0]["asset"]
        assert job["status"] == "succeeded"
        assert Path(asset["url"].removeprefix("file://")).read_text() == "0 0 0 "
        assert "append-only file everysec" in up.words()
        assert up.stop() == 0


def test_queued_jobs_survive_an_orderly_restart(northstar: Northstar) -> None:
    with northstar.up() as up:
        northstar.good("pause", "cell")
        northstar.good("submit", "-", stdin=jobs(5))
        assert up.stop() == 0
    with northstar.up():
        assert set(statuses(northstar).values()) == {"queued"}
        northstar.good("resume", "cell")
        again = northstar.good("submit", "-", "--wait", stdin=jobs(5))["jobs"]
    assert [job["status"] for job in again] == ["succeeded"] * 5


def test_acknowledged_jobs_survive_kill_9_of_everything(northstar: Northstar) -> None:
    with northstar.up() as up:
        northstar.good("pause", "cell")
        northstar.good("submit", "-", stdin=jobs(5))
        family = up.family()
        for pid in family:
            os.kill(pid, signal.SIGKILL)
        gone(family)
    with northstar.up():
        northstar.good("resume", "cell")
        again = northstar.good("submit", "-", "--wait", stdin=jobs(5))["jobs"]
    assert [job["status"] for job in again] == ["succeeded"] * 5


def test_a_second_start_on_the_same_data_is_refused(northstar: Northstar) -> None:
    with northstar.up() as up:
        second = northstar.run("up")
        assert second.code == 4
        assert second.err.startswith("NS_DATA_DIR_IN_USE: ")
        assert f"in use by process {up.popen.pid}" in second.err
        assert "Traceback" not in second.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything_in_order(northstar: Northstar, number: signal.Signals) -> None:
    with northstar.up() as up:
        northstar.until_machines("local")
        family = up.family()
        assert len(family) >= 3  # up, its Valkey, its machine
        assert up.stop(number) == 0
        gone(family)
        assert not (northstar.data_dir / "run.json").exists()
        answer = northstar.run("status")
        assert (answer.code, answer.err.split(":")[0]) == (4, "NS_NOT_RUNNING")


def test_kill_9_leaves_no_orphan(northstar: Northstar) -> None:
    with northstar.up() as up:
        northstar.until_machines("local")
        northstar.good("submit", "-", stdin=jobs(2, steps=400))
        eventually(lambda: set(statuses(northstar).values()) == {"running"}, what="both jobs run", pause_s=0.1)
        family = up.family()
        assert len(family) >= 7  # up, Valkey, machine, and two programs with their launchers
        assert up.stop(signal.SIGKILL) == -signal.SIGKILL
        gone(family)
        # The file is still there, but it does not pretend that something runs.
        assert (northstar.data_dir / "run.json").exists()
        assert northstar.run("status").err.startswith("NS_NOT_RUNNING: ")


def test_work_under_way_is_handed_back_at_the_stop_and_done_after_it(northstar: Northstar) -> None:
    with northstar.up() as up:
        northstar.good("submit", "-", stdin=jobs(1, steps=100))
        eventually(lambda: statuses(northstar) == {"job-0": "running"}, what="the job runs", pause_s=0.1)
        assert up.stop() == 0
    with northstar.up():
        (job,) = northstar.good("submit", "-", "--wait", stdin=jobs(1, steps=100))["jobs"]
    assert (job["status"], job["attempts"], job["recoveries"]) == ("succeeded", 0, 0)


def test_a_second_signal_does_not_wait_for_running_work(tmp_path: Path) -> None:
    northstar = Northstar(tmp_path, settings=SETTINGS.replace("drain_s = 2.0", "drain_s = 3_600.0"))
    with northstar.up() as up:
        northstar.good("submit", "-", stdin=jobs(1, steps=10_000))
        eventually(lambda: statuses(northstar) == {"job-0": "running"}, what="the job runs", pause_s=0.1)
        family = up.family()
        up.popen.send_signal(signal.SIGTERM)
        up.until(lambda: "North Star stops" in up.words(), what="it stops")
        assert up.stop() == 0
        gone(family)


def test_a_machine_that_is_killed_is_started_again_and_its_job_succeeds(northstar: Northstar) -> None:
    # The program cannot end by itself before the machine is gone.
    may_end = northstar.folder / "may-end"
    work = jobs(1, until=str(may_end))
    with northstar.up() as up:
        northstar.good("submit", "-", stdin=work)
        eventually(lambda: statuses(northstar) == {"job-0": "running"}, what="the job runs", pause_s=0.1)
        before = worker_pid(up.popen.pid)
        os.kill(before, signal.SIGKILL)
        gone({before})
        may_end.touch()
        (job,) = northstar.good("submit", "-", "--wait", stdin=work)["jobs"]
        assert (job["status"], job["attempts"], job["recoveries"]) == ("succeeded", 0, 1)
        assert worker_pid(up.popen.pid) != before


def test_a_machine_that_its_pool_refuses_is_given_up_and_everything_says_so(tmp_path: Path) -> None:
    """A host without a GPU that is put into `heavy`: nothing is getting ready, and no other machine is the remedy."""
    refused = SETTINGS.replace('services = ["copy"]', 'services = ["copy"]\ngpus = 0\npools = ["standard", "heavy"]')
    northstar = Northstar(tmp_path, settings=refused)
    with northstar.up():
        northstar.good("submit", "-", stdin=json.dumps({"id": "a", "service": "copy", "payload": {}}))

        def code() -> str:
            return str(northstar.good("explain", "local")["explanation"]["code"])

        eventually(lambda: code() == "given_up", what="the machine is given up")
        assert "NS_POOL_REFUSES_MACHINE" in northstar.run("explain", "local").out
        job = northstar.good("explain", "a")["explanation"]
        assert job["coming"] == ""
        assert "local was started on this host and given up" in job["unservable"]
        assert "NS_POOL_REFUSES_MACHINE" in job["unservable"]
        first, second = northstar.good("status")["troubles"][:2]
        assert "no machine is here: local was given up" in first["what"]
        assert "NS_POOL_REFUSES_MACHINE" in second["what"]


def test_valkey_that_is_killed_is_started_again_and_nothing_is_lost(northstar: Northstar) -> None:
    with northstar.up() as up:
        northstar.good("pause", "cell")
        northstar.good("submit", "-", stdin=jobs(3))
        (valkey,) = [pid for pid in descendants(up.popen.pid) if b"valkey-server" in cmdline(pid)]
        os.kill(valkey, signal.SIGKILL)
        gone({valkey})
        eventually(lambda: northstar.run("resume", "cell").code == 0, what="the server is back", pause_s=0.2)
        again = northstar.good("submit", "-", "--wait", stdin=jobs(3))["jobs"]
        assert [job["status"] for job in again] == ["succeeded"] * 3


def test_a_program_of_its_own_is_told_about_by_json_logs(northstar: Northstar) -> None:
    with northstar.up("--log-json") as up:
        northstar.until_machines("local")
        assert up.stop() == 0
    lines = [json.loads(line) for line in (northstar.folder / "err.log").read_text().splitlines()]
    assert {"machine_ready"} <= {line["event"] for line in lines}
    assert all(line["machine"] == "local" for line in lines if line["event"] == "machine_ready")


@pytest.fixture(params=["valkey", pytest.param("redis", marks=pytest.mark.redis7)])
async def server_url(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    make = embedded_valkey if request.param == "valkey" else redis7
    async with make() as server:
        yield server.url


async def test_a_server_by_url_serves_as_well(tmp_path: Path, server_url: str) -> None:
    northstar = Northstar(tmp_path)
    with northstar.up("--valkey", server_url, "--cell", "elsewhere") as up:
        (job,) = northstar.good("submit", "-", "--wait", stdin=jobs(1))["jobs"]
        assert job["status"] == "succeeded"
        assert northstar.good("status")["cell"] == "elsewhere"
        assert not any(b"valkey-server" in cmdline(pid) for pid in descendants(up.popen.pid))
        second = northstar.run("up", "--valkey", server_url)
        assert (second.code, second.err.split(":")[0]) == (4, "NS_DATA_DIR_IN_USE")
        assert up.stop() == 0


async def test_a_worker_by_itself_takes_work_and_leaves_when_told(tmp_path: Path) -> None:
    async with embedded_valkey() as server:
        broker = Northstar(tmp_path / "broker")
        host = Northstar(tmp_path / "host")
        with (
            broker.up("--valkey", server.url, "--no-machines"),
            host.started("worker", "local", "--valkey", server.url) as worker,
        ):
            broker.until_machines("local")
            (job,) = broker.good("submit", "-", "--wait", stdin=jobs(1))["jobs"]
            assert job["status"] == "succeeded"
            family = worker.family()
            assert worker.stop() == 0
            gone(family)
            broker.until_machines()


def test_a_worker_that_is_not_set_up_says_which_are(northstar: Northstar) -> None:
    answer = northstar.run("worker", "elsewhere")
    assert (answer.code, answer.err) == (
        2,
        "NS_NO_SUCH_MACHINE_SETTINGS: no machine 'elsewhere' is set up (known: local); name one of these, or add [[machines]] to the settings\n",
    )


def test_nothing_is_left_alive_by_these_tests() -> None:
    assert not [pid for pid in descendants(os.getpid()) if b"northstar\0up" in cmdline(pid) and is_alive(pid)]
