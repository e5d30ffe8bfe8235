"""What a receiver is told: what happened, to which job of whom, and nothing that lets it do anything."""

from __future__ import annotations

from typing import Any

import msgspec

from northstar.domain.events import Event, EventId
from northstar.domain.job_resources import JobFault
from northstar.policy.webhooks.body import MAX_BYTES, JobFacts, body_of


def event(kind: str, **data: Any) -> Event:
    return Event(id=EventId(1, 7), kind=kind, subject="job-1", number=3, at_ms=1_700_000_000_123, data=data)


def told(happened: Event, job: JobFacts | None) -> Any:
    return msgspec.json.decode(body_of(happened, cell="c", job=job))


def test_a_failed_job_is_told_with_its_error_its_tenant_and_where_more_is() -> None:
    facts = JobFacts(
        tenant="acme", service="paint", pool="fast", attempts=2, error=JobFault(code="BOOM", message="it broke")
    )
    document = told(event("job.failed", code="BOOM", machine="m1"), facts)
    assert (document["type"], document["timestamp"]) == ("job.failed", "2023-11-14T22:13:20.123Z")
    job = document["data"]["job"]
    assert (job["id"], job["status"], job["tenant"], job["error"]["code"]) == ("job-1", "failed", "acme", "BOOM")
    assert (job["urls"]["result"], job["finished_ms"]) == ("/v1/jobs/job-1/result", 1_700_000_000_123)
    assert (document["data"]["event"]["id"], document["data"]["event"]["number"]) == ("1-7", 3)


def test_a_job_is_told_as_it_was_at_the_event_and_not_as_it_became() -> None:
    facts = JobFacts(tenant="acme", error=JobFault(code="BOOM", message=""))
    job = told(event("job.started", machine="m1"), facts)["data"]["job"]
    assert (job["status"], job["error"], job["finished_ms"], job["machine"]) == ("running", None, 0, "m1")


def test_tokens_of_runs_and_what_machines_measured_stay_here() -> None:
    body = body_of(
        event("job.started", machine="m1", claim=1, token="1.secret", report="{}", lane=4), cell="c", job=None
    )
    assert msgspec.json.decode(body)["data"]["event"]["facts"] == {"machine": "m1", "claim": 1}
    assert b"secret" not in body


def test_a_message_stays_below_20_kib_whatever_an_event_holds() -> None:
    long = JobFault(code="x" * 5_000, message='"\\\x01' * 10_000)
    for data in ({"because": "é" * 9_000}, {f"fact{n}": "x" * 900 for n in range(100)}):
        body = body_of(event("job.failed", machine="m" * 9_000, **data), cell="c", job=JobFacts(error=long))
        assert len(body) <= MAX_BYTES
        assert msgspec.json.decode(body)["data"]["job"]["status"] == "failed"
