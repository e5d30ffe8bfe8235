"""What a broker logs of single jobs: each with its trace, and never more lines than it may."""

from __future__ import annotations

from typing import Any

import pytest

from northstar.broker.job_log import JobLog
from northstar.domain.jobs import ClaimedJob, JobRequest
from northstar.store.messages import Failure, Outcome
from northstar.telemetry import RationedLines

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class Lines:
    def __init__(self) -> None:
        self.said: list[tuple[str, dict[str, Any]]] = []

    def info(self, event: str, **said: Any) -> None:
        self.said.append((event, said))

    warning = info


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Lines:
    found = Lines()
    monkeypatch.setattr("northstar.broker.job_log.log", found)
    return found


def claimed(job: str) -> ClaimedJob:
    body = JobRequest(service="s", payload={"trace": "not this"}).body(trace=TRACE).decode()
    return ClaimedJob(id=job, token="1.n.1", attempt=2, recoveries=0, lease_ms=1, body=body)


def test_the_end_of_a_job_has_the_trace_with_which_it_was_given_out(lines: Lines) -> None:
    log = JobLog(per_s=10, clock=lambda: 0.0)
    log.given("m", [claimed("a"), claimed("b")])
    log.ended("m", [Outcome("a", "ok")], how="job_succeeded")
    failure = Failure("b", "1.n.1", "NS_ENGINE_GONE", "it went", retryable=True, jitter=0.0)
    log.ended("m", [Outcome("b", "retried"), Outcome("c", "ok")], how="job_failed", failures=[failure])
    assert [event for event, _ in lines.said] == ["job_given", "job_given", "job_succeeded", "job_failed", "job_failed"]
    assert [said.get("trace") for _, said in lines.said] == [TRACE, TRACE, TRACE, TRACE, None]
    assert (lines.said[3][1]["code"], lines.said[3][1]["outcome"]) == ("NS_ENGINE_GONE", "retried")


def test_beyond_the_bound_lines_are_counted_and_the_count_is_told() -> None:
    found, now_s = Lines(), 0.0
    rationed = RationedLines(found, per_s=2, clock=lambda: now_s)
    for _ in range(5):
        rationed.info("job_given")
    now_s = 1.0
    rationed.info("job_given")
    assert [event for event, _ in found.said] == ["job_given", "job_given", "job_lines_left_out", "job_given"]
    assert found.said[2][1]["lines"] == 3


def test_without_lines_nothing_is_even_read(lines: Lines) -> None:
    log = JobLog(per_s=0, clock=lambda: 0.0)
    log.given("m", [claimed("a")])
    log.ended("m", [Outcome("a", "ok")], how="job_succeeded")
    assert lines.said == []
