"""Which of a job's runs is the one that is told."""

from __future__ import annotations

import msgspec

from northstar.domain.jobs import ClaimedJob, JobBody
from northstar.simulation.live_job import LiveJob
from northstar.simulation.outcome import EarlierRun
from northstar.simulation.run import Run
from tests.simulation.rig import job, machine


def a_run(token: str, *, at_ms: int, until_ms: int) -> Run:
    body = msgspec.json.encode(JobBody(service="picture", payload={})).decode()
    run = Run(ClaimedJob("j1", token, 1, 0, 1_000, body), job(0), now_ms=at_ms)
    run.begins_ms = at_ms
    run.end(now_ms=until_ms)
    return run


def test_the_run_whose_result_was_taken_stands_whoever_began_last() -> None:
    live = LiveJob(job(0), 1, submitted_ms=0)
    live.runs = [
        (a_run("1", at_ms=0, until_ms=10_000), machine("m1")),
        (a_run("2", at_ms=9_000, until_ms=19_000), machine("m2")),
        (a_run("3", at_ms=12_000, until_ms=14_000), machine("m1")),
    ]
    live.stands("m2")

    told = live.outcome("succeeded", ended_ms=19_000, code="", now_ms=20_000)

    assert (told.machine, told.taken_ms, told.left_ms, told.claims) == ("m2", 9_000, 19_000, 3)
    assert told.earlier == (EarlierRun("m1", 0, 10_000), EarlierRun("m1", 12_000, 14_000))
