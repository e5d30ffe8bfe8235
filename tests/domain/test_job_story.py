"""A job's events as a person reads them."""

from __future__ import annotations

from typing import Any

import msgspec

from northstar.domain.events import Event, EventId
from northstar.domain.job_story import Step, steps_of


def story(*events: tuple[str, dict[str, Any]]) -> list[Step]:
    return steps_of(
        Event(id=EventId(1, n), kind=f"job.{kind}", subject="a", number=n, at_ms=n * 1_000, data=data)
        for n, (kind, data) in enumerate(events, start=1)
    )


def attempts(steps: list[Step]) -> list[tuple[str, int]]:
    return [(step.event, step.attempt) for step in steps]


ON_M = {"machine": "m"}
SUBMITTED = ("submitted", {"tenant": "ada", "lane": "1", "priority": 50})


def test_a_failure_is_charged_to_the_attempt_that_it_ends() -> None:
    steps = story(
        SUBMITTED,
        ("started", ON_M),
        ("retrying", {"code": "NS_BUSY", "attempts": 1, "due_ms": 5}),
        ("retried", {"attempts": 1}),
        ("started", {"machine": "n"}),
        ("failed", {"code": "NS_BROKEN", "attempts": 2, "machine": "n"}),
    )
    assert attempts(steps) == [
        ("submitted", 0),
        ("started", 1),
        ("retrying", 1),
        ("retried", 0),
        ("started", 2),
        ("failed", 2),
    ]
    assert (steps[2].machine, steps[2].why) == ("m", "NS_BUSY")
    assert steps[5].why == "NS_BROKEN"


def test_a_lost_machine_is_told_from_a_job_that_was_handed_back() -> None:
    steps = story(
        SUBMITTED,
        ("started", ON_M),
        ("returned", {"because": "machine stops", "machine": "m", "recoveries": 0}),
        ("started", ON_M),
        ("returned", {"because": "silent", "machine": "m", "recoveries": 1}),
        ("started", {"machine": "n"}),
        ("succeeded", {"machine": "n", "started_ms": 6_000}),
    )
    assert (steps[2].what, steps[2].why) == (
        "handed back; at the front of the queue again, nothing charged",
        "machine stops",
    )
    assert steps[4].what == "lost with its machine; back to the front of the queue, no attempt charged"
    assert steps[4].why == "nothing was heard of the machine any more"
    assert {step.attempt for step in steps[1:]} == {1}


def test_a_replay_begins_to_count_anew() -> None:
    steps = story(
        SUBMITTED,
        ("started", ON_M),
        ("failed", {"code": "NS_BROKEN", "attempts": 1, "machine": "m"}),
        ("replayed", {}),
        ("started", ON_M),
        ("canceled", {"because": "no longer needed", "machine": "m"}),
    )
    assert attempts(steps)[-2:] == [("started", 1), ("canceled", 1)]
    assert steps[-1].what == "canceled while at work"
    assert steps[-1].why == "no longer needed"


def test_an_event_of_a_later_version_is_told_by_its_name() -> None:
    assert story(("paused", {}))[0].what == "paused"


def test_a_failure_for_good_says_whether_it_is_worth_another_try() -> None:
    """The first of three attempts, and nothing was tried again: the same work would fail in the same way."""
    failed = Event(
        id=EventId(1, 1), kind="job.failed", subject="sky", number=1, at_ms=1, data={"code": "NS_BAD", "attempts": 1}
    )
    (hopeless,) = steps_of([failed], max_attempts=3)
    assert hopeless.what == (
        "failed for good: not tried again, since NS_BAD is not retryable; mend the payload and submit it anew"
    )
    (last,) = steps_of([failed], max_attempts=1)
    assert last.what == "failed for good; to send it back to work: northstar dead replay sky"
    (unknown,) = steps_of([failed])
    assert unknown.what == last.what, "the queue has forgotten how often it might fail"
    lost = msgspec.structs.replace(failed, data={"code": "NS_MACHINES_LOST"})
    assert steps_of([lost], max_attempts=3)[0].what == last.what, "no fault of the work"
