"""A small fleet of real processes: two `serve` over one Valkey, agents that joined by an invite; whatever dies, no job does."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import shlex
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.northstar_command import SETTINGS, WITHIN_S, Northstar, RunningProcess, eventually
from tests.servers import RunningServer

FLEET = (
    SETTINGS.replace("[agent]", "[serve]\ngrace_s = 1.0\nping_every_s = 0.5\nping_timeout_s = 0.5\n\n[agent]")
    + '\n[assets]\nurl = "ASSETS"\n\n[history]\nurl = "sqlite:///HISTORY"\n'
)


class Fleet:
    """One Valkey, and whatever the test starts over it. Every process has a folder of its own, as on a host of its own."""

    def __init__(self, folder: Path, valkey: str, stack: contextlib.ExitStack, settings: str = FLEET) -> None:
        self._folder = folder
        self._stack = stack
        self._joins: dict[str, list[str]] = {}
        self._options = ("--valkey", valkey, "--cell", f"fleet-{secrets.token_hex(6)}")
        self._settings = settings.replace("ASSETS", str(folder / "assets")).replace(
            "HISTORY", str(folder / "history.db")
        )
        self.operator = Northstar(folder / "operator", settings=self._settings, options=self._options)

    def serve(self, name: str, *, port: int = 0) -> tuple[RunningProcess, str]:
        """One `serve`, and its address."""
        host = Northstar(self._folder / name, settings=self._settings)
        process = self._stack.enter_context(host.started("serve", *self._options, "--port", str(port)))
        pattern = re.compile(r"broker\s+(http://[0-9.:]+), where machines dial")
        process.until(lambda: pattern.search(process.words()) is not None, what=f"{name} serves")
        found = pattern.search(process.words())
        assert found
        return process, found[1]

    def agent(self, name: str, url: str) -> RunningProcess:
        """A machine that joins by the very command that `machines invite` prints."""
        invite = self.operator.good("machines", "invite", "--pool", "standard", "--url", url)
        _, *self._joins[name] = shlex.split(invite["command"])
        return self.agent_again(name)

    def agent_again(self, name: str) -> RunningProcess:
        """The same command on the same host: it has its token now."""
        arguments = self._joins[name]
        host = Northstar(self._folder / name, settings=self._settings)
        process = self._stack.enter_context(host.started(*arguments, name))
        process.until(lambda: "broker_connected" in process.words(), what=f"{name} is connected")
        return process

    def agent_of_the_environment(self, name: str, url: str) -> RunningProcess:
        """A machine that joins by variables, as a container does."""
        invite = self.operator.good("machines", "invite", "--pool", "standard", "--url", url)["token"]
        host = Northstar(self._folder / name, settings=self._settings)
        process = self._stack.enter_context(
            host.started("agent", name, environment={"NORTHSTAR_JOIN": url, "NORTHSTAR_INVITE": invite})
        )
        process.until(lambda: "broker_connected" in process.words(), what=f"{name} is connected")
        return process

    def submit(self, *ids: str, **payload: object) -> None:
        jobs = [{"id": job, "service": "copy", "payload": {"text": f"{job} "} | payload} for job in ids]
        self.operator.good("submit", "-", stdin=json.dumps(jobs))

    def job(self, job_id: str) -> dict[str, object]:
        (found,) = [job for job in self.operator.good("jobs", "list")["jobs"] if job["id"] == job_id]
        return dict(found)

    def becomes(self, job_id: str, status: str) -> dict[str, object]:
        eventually(lambda: self.job(job_id)["status"] == status, what=f"{job_id} is {status}", pause_s=0.2)
        return self.job(job_id)


@pytest.fixture
def fleet(tmp_path: Path, kill_server: RunningServer) -> Iterator[Fleet]:
    with contextlib.ExitStack() as stack:
        yield Fleet(tmp_path, kill_server.url, stack)


@pytest.fixture
def patient_fleet(tmp_path: Path, kill_server: RunningServer) -> Iterator[Fleet]:
    """It waits for a machine longer than any host needs to start a broker."""
    patient = FLEET.replace("_ms = 3_000", "_ms = 60_000").replace("grace_s = 1.0", "grace_s = 30.0")
    assert (patient.count("60_000"), patient.count("30.0")) == (2, 1)
    with contextlib.ExitStack() as stack:
        yield Fleet(tmp_path, kill_server.url, stack, patient)


def test_invited_machines_do_the_work_and_their_outputs_are_kept_by_the_broker(fleet: Fleet, tmp_path: Path) -> None:
    _, url = fleet.serve("one")
    fleet.agent("left", url)
    fleet.agent("right", url)
    fleet.submit("a", "b", "c", "d")
    for job in "abcd":
        fleet.becomes(job, "succeeded")
    kept = sorted(path.read_text() for path in (tmp_path / "assets").rglob("copy.txt"))
    assert kept == [f"{job} " * 3 for job in "abcd"]


def test_a_machine_can_join_by_its_environment_alone(fleet: Fleet) -> None:
    _, url = fleet.serve("one")
    fleet.agent_of_the_environment("container", url)
    fleet.submit("a")
    fleet.becomes("a", "succeeded")


def test_a_job_of_a_killed_agent_starts_elsewhere_within_seconds_and_costs_no_attempt(
    fleet: Fleet, tmp_path: Path
) -> None:
    _, url = fleet.serve("one")
    lost = fleet.agent("lost", url)
    fleet.submit("a", until=str(tmp_path / "never"))  # it cannot end by itself, however slow this host is
    fleet.becomes("a", "running")
    fleet.agent("other", url)
    lost.popen.kill()
    killed_s = time.monotonic()
    eventually(lambda: fleet.job("a")["machine"] == "other", what="the other machine runs it", pause_s=0.1)
    assert time.monotonic() - killed_s < 10
    job = fleet.job("a")
    assert (job["attempts"], job["recoveries"]) == (0, 1)
    fleet.operator.good("jobs", "cancel", "a")
    fleet.becomes("a", "canceled")


def test_machines_of_a_killed_broker_go_on_with_its_successor(patient_fleet: Fleet, tmp_path: Path) -> None:
    one, url = patient_fleet.serve("one")
    patient_fleet.agent("machine", url)
    go = tmp_path / "go"
    patient_fleet.submit("a", until=str(go))
    patient_fleet.becomes("a", "running")
    one.popen.kill()
    one.popen.wait(WITHIN_S)
    patient_fleet.serve("two", port=int(url.rpartition(":")[2]))
    go.touch()
    job = patient_fleet.becomes("a", "succeeded")
    assert (job["attempts"], job["recoveries"]) == (0, 0)


def test_an_agent_that_is_told_to_stop_hands_back_what_it_cannot_finish(fleet: Fleet, tmp_path: Path) -> None:
    _, url = fleet.serve("one")
    agent = fleet.agent("machine", url)
    fleet.submit("a", until=str(tmp_path / "never"))
    fleet.becomes("a", "running")
    assert agent.stop(signal.SIGTERM) == 0
    job = fleet.becomes("a", "queued")
    assert (job["attempts"], job["recoveries"]) == (0, 0)
    assert fleet.operator.good("machines", "list")["machines"] == []


def test_a_revoked_machine_ends_and_says_why(fleet: Fleet) -> None:
    _, url = fleet.serve("one")
    agent = fleet.agent("machine", url)
    fleet.operator.good("machines", "revoke", "machine", "--yes")
    assert agent.popen.wait(WITHIN_S) != 0
    assert "NS_TOKEN_REVOKED" in agent.words()
    again = fleet.agent("machine", url)  # by a new invite, in the folder that still holds the old token
    assert again.popen.poll() is None
    fleet.operator.until_machines("machine")
