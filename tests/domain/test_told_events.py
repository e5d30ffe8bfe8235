"""Events as clients are told them: whose business each is, and what is left out."""

from __future__ import annotations

import pytest

from northstar.domain.api_keys import Caller, Scope
from northstar.domain.events import Event, EventId
from northstar.domain.told_events import EventFilter, may_see, told


def event(kind: str, subject: str = "j", **data: object) -> Event:
    return Event(id=EventId(1, 7), kind=kind, subject=subject, number=1, at_ms=5, data=data)


def caller(*scopes: Scope, tenant: str | None = None) -> Caller:
    return Caller(key_id="k", name="k", scopes=frozenset(scopes), tenant=tenant)


@pytest.mark.parametrize(
    ("who", "kinds"),
    [
        (
            caller(Scope.ADMIN),
            {"job.started", "machine.lost", "fetch.ended", "order.given", "cell.paused", "document.put"},
        ),
        (caller(Scope.READ), {"job.started", "machine.lost", "fetch.ended", "order.given", "cell.paused"}),
        (caller(Scope.READ, tenant="acme"), {"job.started"}),
        (
            caller(Scope.READ, Scope.MACHINE, tenant="acme"),  # as could be made once
            {"job.started"},
        ),
        (caller(Scope.READ, tenant="other"), set()),
    ],
)
def test_each_key_sees_what_is_its_business(who: Caller, kinds: set[str]) -> None:
    happened = {
        "job.started": "acme",
        "machine.lost": "",
        "fetch.ended": "",
        "order.given": "",
        "cell.paused": "",
        "document.put": "",
    }
    assert {kind for kind, tenant in happened.items() if may_see(who, event(kind), tenant)} == kinds


def test_a_job_of_nobody_knows_whom_is_shown_to_keys_of_all_tenants_only() -> None:
    assert may_see(caller(Scope.READ), event("job.started"), "")
    assert not may_see(caller(Scope.READ, tenant="acme"), event("job.started"), "")


def test_the_token_of_a_lease_is_left_out_and_a_report_is_told_as_what_it_is() -> None:
    shown = told(event("job.succeeded", token="1.a.1", machine="m", report='{"running_s": 2.5}'), "acme")
    assert shown.data == {"machine": "m", "report": {"running_s": 2.5}}
    assert (shown.id, shown.tenant) == ("1-7", "acme")
    assert told(event("job.succeeded", report="{"), "acme").data == {"report": None}


@pytest.mark.parametrize(
    ("wanted", "accepts"),
    [
        (EventFilter(), True),
        (EventFilter(kinds=("machine.", "job.st")), True),
        (EventFilter(kinds=("job.failed",)), False),
        (EventFilter(jobs=("j", "k")), True),
        (EventFilter(jobs=("k",)), False),
        (EventFilter(tenant="acme"), True),
        (EventFilter(tenant="other"), False),
    ],
)
def test_a_filter_means_what_it_says(wanted: EventFilter, accepts: bool) -> None:
    assert wanted.accepts(event("job.started"), "acme") is accepts


def test_a_machine_that_is_called_like_a_job_is_not_that_job() -> None:
    assert not EventFilter(jobs=("j",)).accepts(event("machine.lost", "j"), "")
