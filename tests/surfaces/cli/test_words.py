"""What a newcomer does wrong is answered with what to do instead."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

from tests.northstar_command import PROGRAM, SETTINGS, Northstar

MISSPELT = SETTINGS.replace('services = ["copy"]', 'services = ["copy"]\npools = ["haevy"]')


def test_up_refuses_a_machine_of_a_misspelt_pool_and_leaves_no_such_pool_behind(tmp_path: Path) -> None:
    answer = Northstar(tmp_path, settings=MISSPELT).run("up")
    assert answer.code == 2
    assert "NS_MACHINE_POOL_UNKNOWN: machine local names pool 'haevy'" in answer.err
    assert "did you mean 'heavy'?" in answer.err
    right = Northstar(tmp_path)
    with right.up():
        job = json.dumps({"service": "copy", "pool": "haevy", "payload": {}})
        assert right.run("submit", "-", stdin=job).code != 0


def test_a_worker_of_a_misspelt_pool_is_refused(running: Northstar) -> None:
    answer = running.run("worker", "night", "--service", "copy", "--pool", "haevy")
    assert (answer.code, "NS_MACHINE_POOL_UNKNOWN" in answer.err) == (2, True), answer


def test_a_model_for_a_machine_that_is_not_there_is_refused_by_the_machine(running: Northstar) -> None:
    answer = running.run("machines", "fetch", "nobody", "flux1-dev.safetensors")
    assert answer.err.partition(":")[0] == "NS_NO_SUCH_MACHINE"


def test_an_empty_history_says_that_nothing_matches(running: Northstar) -> None:
    assert "no attempt matches what was asked" in running.run("history", "--tenant", "nobody").out
    assert "no finished job matches what was asked" in running.run("history", "--jobs", "--tenant", "nobody").out


def test_an_end_that_there_is_not_is_answered_with_those_that_there_are(running: Northstar) -> None:
    told = running.run("history", "--outcome", "bored").err
    assert "these are the words: succeeded, failed, lost, released, expired, canceled" in told
    told = running.run("history", "--jobs", "--outcome", "bored").err
    assert "these are the words: succeeded, failed, canceled, expired, moved" in told


def interrupted(northstar: Northstar, *words: str, after: str, stdin: bytes = b"") -> str:
    """What a command says that Ctrl-C ends as soon as it has said `after`."""
    with subprocess.Popen(
        [*PROGRAM, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=northstar._environment | {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1"},
        cwd=northstar.folder,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(stdin)
        process.stdin.close()
        assert next(line for line in process.stdout if after.encode() in line)
        process.send_signal(signal.SIGINT)
        said = process.stdout.read().decode()
        assert process.wait(60) == 130, said
    assert "Traceback" not in said
    return said


def test_whoever_stops_waiting_is_told_that_the_job_goes_on_and_how_to_end_it(running: Northstar) -> None:
    job = json.dumps({"id": "w-1", "service": "copy", "payload": {"until": str(running.folder / "w-1")}}).encode()
    told = "unless over, w-1 goes on: northstar jobs show w-1; to end it: northstar jobs cancel w-1"
    assert told in interrupted(running, "submit", "-", "--wait", after="waiting for w-1", stdin=job)
    assert told in interrupted(running, "jobs", "watch", "w-1", after="w-1")
    (running.folder / "w-1").touch()
