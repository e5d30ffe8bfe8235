"""One line for each machine that goes, with what it takes along."""

from __future__ import annotations

from typing import Any

from structlog.testing import capture_logs

from northstar.broker.fleet_log import MAX_NAMED, FleetLog
from northstar.domain.events import Event, EventId


def told(*events: tuple[str, str, dict[str, Any]]) -> list[dict[str, Any]]:
    """What is said of these events, each heard in a batch of its own."""
    hearing = FleetLog("c")
    with capture_logs() as lines:
        for number, (kind, subject, data) in enumerate(events, start=1):
            hearing.hear([Event(id=EventId(1, number), kind=kind, subject=subject, number=1, at_ms=1, data=data)])
    return [dict(line) for line in lines]


def returned(job: str, machine: str = "m") -> tuple[str, str, dict[str, Any]]:
    return "job.returned", job, {"because": "silent", "machine": machine, "recoveries": 1}


def test_a_lost_machine_is_told_with_its_jobs_and_what_becomes_of_them() -> None:
    (line,) = told(returned("a"), returned("b"), returned("c", "other"), ("machine.lost", "m", {"because": "silent"}))
    assert line == {
        "event": "machine_lost",
        "log_level": "warning",
        "cell": "c",
        "machine": "m",
        "at": "1970-01-01T00:00:00+00:00",
        "noticed": "nothing was heard of it in time, or since its connection broke",
        "jobs": ["a", "b"],
        "now": "they are at the front of the queue again, no attempt charged",
    }


def test_a_machine_that_leaves_in_order_is_no_warning() -> None:
    (line,) = told(("machine.removed", "m", {"because": "stopped"}))
    assert (line["event"], line["log_level"], line["because"], line["jobs"]) == ("machine_left", "info", "stopped", [])


def test_of_many_jobs_some_are_named_and_all_are_counted() -> None:
    many = [returned(f"j{number}") for number in range(200)]
    (line,) = told(*many, ("machine.lost", "m", {"because": "silent"}))
    assert (len(line["jobs"]), line["jobs_in_all"]) == (MAX_NAMED, 200)


def test_a_job_that_a_machine_lost_earlier_is_not_counted_again() -> None:
    _, line = told(
        returned("a"),
        ("machine.lost", "m", {"because": "silent"}),
        ("machine.registered", "m", {}),
        ("machine.lost", "m", {"because": "silent"}),
    )
    assert (line["jobs"], line["now"]) == ([], "it ran nothing")


def test_an_order_that_failed_is_told_with_its_reason_and_one_that_was_done_is_not() -> None:
    said = {"order": "o", "model": "a.safetensors", "code": "NS_MODEL_WRONG_HASH", "message": "it is another file"}
    (line,) = told(("order.ended", "m", {"outcome": "done"} | said), ("order.ended", "m", {"outcome": "failed"} | said))
    assert (line["event"], line["log_level"], line["machine"], line["order"]) == ("order_failed", "warning", "m", "o")
    assert (line["model"], line["code"], line["error"]) == ("a.safetensors", said["code"], "it is another file")
