"""Which events a webhook is told of."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import northstar.store
from northstar.policy.webhooks.kinds import JOB_KINDS, are_of_jobs, check_kinds, reaches, wants


def test_every_event_of_jobs_that_the_library_makes_can_be_asked_for() -> None:
    lua = "\n".join(path.read_text() for path in (Path(northstar.store.__path__[0]) / "lua").rglob("*.lua"))
    made = set(re.findall(r"'(job\.[a-z_]+)'", lua))
    assert "job.succeeded" in made
    assert made == JOB_KINDS


@pytest.mark.parametrize("kind", ["job.suceeded", "jobs", "job.", "everything", "machine.", "nobody.came"])
def test_events_that_never_come_are_refused(kind: str) -> None:
    with pytest.raises(ValueError, match="there are no events"):
        check_kinds(["completed", kind])


def test_a_misspelt_event_is_answered_with_the_one_that_may_be_meant() -> None:
    with pytest.raises(ValueError, match=r"is 'job\.succeeded' meant\?"):
        check_kinds(["job.suceeded"])


def test_words_for_several_single_events_and_families_mean_what_they_say() -> None:
    check_kinds(["completed", "start", "all", "job", "machine", "machine.lost", "job.failed"])
    assert [
        wants(["completed"], f"job.{end}") for end in ("succeeded", "failed", "canceled", "expired", "started")
    ] == [
        True,
        True,
        True,
        True,
        False,
    ]
    assert wants(["start"], "job.started")
    assert wants(["all"], "job.rerouted")
    assert not wants(["all"], "machine.lost")
    assert wants(["machine"], "machine.lost")
    assert not wants(["machine.lost"], "machine.lost_again")
    assert are_of_jobs(["completed", "job.failed"])
    assert not are_of_jobs(["completed", "document"])


def test_only_a_webhook_of_all_tenants_is_told_what_is_no_tenants_or_nobody_knows_whose() -> None:
    assert reaches(None, None, is_of_job=False)
    assert reaches(None, "acme", is_of_job=True)
    assert reaches("acme", "acme", is_of_job=True)
    assert not reaches("acme", "other", is_of_job=True)
    assert not reaches("acme", None, is_of_job=True)
    assert not reaches("acme", "acme", is_of_job=False)
