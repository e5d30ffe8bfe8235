"""What opens a breaker, what does not, and what brings an engine back."""

from __future__ import annotations

import msgspec
import pytest

from northstar.domain.engines import Fault
from northstar.policy.fleet.breaker import (
    MAX_OUTCOMES,
    Breaker,
    Event,
    Failed,
    HealthRule,
    ProbeBegan,
    ProbeFailed,
    ProbePassed,
    Worked,
    advance,
)

RULE = HealthRule(
    in_a_row=3, rate=0.5, rate_from=10, window_s=600.0, first_pause_s=4.0, longest_pause_s=60.0, jitter=0.5
)
CLOSED = Breaker(phase="closed", generation=1, reason="")


def worked(number: int = 0, *, at_s: float = 1.0, generation: int = 1) -> Worked:
    return Worked(at_s=at_s, job=f"good-{number}", generation=generation)


def failed(
    job: str = "a", fault: Fault = "engine", *, at_s: float = 1.0, generation: int = 1, jitter: float = 0.0
) -> Failed:
    return Failed(at_s=at_s, job=job, generation=generation, fault=fault, why="NS_X: broken", jitter=jitter)


def after(breaker: Breaker, *events: Event, rule: HealthRule = RULE) -> Breaker:
    for event in events:
        breaker, _ = advance(breaker, event, rule)
    return breaker


def test_an_engine_takes_no_work_before_it_has_answered_a_warm_up() -> None:
    assert Breaker().phase == "open"
    assert after(Breaker(), worked(), ProbePassed(at_s=1.0)).phase == "open"
    assert after(Breaker(), ProbeBegan(at_s=0.0), ProbePassed(at_s=1.0)).phase == "closed"


def test_one_sign_of_death_is_enough() -> None:
    breaker, decision = advance(CLOSED, failed(fault="fatal", at_s=100.0, jitter=0.5), RULE)
    assert (breaker.phase, decision.what, decision.reason) == ("open", "opens", "NS_X: broken")
    assert breaker.probe_at_s == 100.0 + 4.0 * 1.25


def test_three_faults_in_a_row_open_it_and_a_success_between_does_not_let_them() -> None:
    assert after(CLOSED, failed("a"), failed("b"), failed("c")).phase == "open"
    assert after(CLOSED, failed("a"), failed("b"), worked(), failed("c"), failed("d")).phase == "closed"


def test_one_job_that_fails_again_and_again_proves_nothing_about_the_engine() -> None:
    assert after(CLOSED, *[failed("poison") for _ in range(20)]).phase == "closed"


def test_what_is_the_requests_fault_counts_for_nothing() -> None:
    assert after(CLOSED, *[failed(str(n), "none") for n in range(50)]) == CLOSED


def test_half_of_the_latest_jobs_failing_opens_it_though_never_three_in_a_row() -> None:
    events = [event for n in range(5) for event in (worked(n), failed(f"bad-{n}"))]
    breaker = after(CLOSED, *events)
    assert breaker.phase == "open"
    assert "5 of the last 10 jobs" in breaker.reason


def test_failures_long_ago_are_forgotten() -> None:
    old = [failed(f"old-{n}", at_s=0.0) for n in range(2)]
    assert after(CLOSED, *old, failed("new", at_s=1_000.0)).phase == "closed"


def test_doubts_in_a_row_ask_for_a_warm_up_before_anybody_is_blamed() -> None:
    breaker, decision = after(CLOSED, failed("a", "doubt"), failed("b", "doubt")), None
    breaker, decision = advance(breaker, failed("c", "doubt", at_s=7.0), RULE)
    assert (breaker.phase, decision.what, breaker.probe_at_s) == ("half open", "asks", 7.0)
    back, decision = advance(breaker, ProbePassed(at_s=8.0), RULE)
    assert (back.phase, decision.what) == ("closed", "closes")
    out, decision = advance(breaker, ProbeFailed(at_s=8.0, why="silent", jitter=0.0), RULE)
    assert (out.phase, decision.what) == ("open", "opens")


def test_an_engine_that_answers_warm_ups_and_no_real_job_is_taken_out_too() -> None:
    doubts = [failed(job, "doubt") for job in "abc"]
    back = after(CLOSED, *doubts, ProbePassed(at_s=2.0))
    again = [msgspec.structs.replace(doubt, generation=back.generation, at_s=3.0) for doubt in doubts]
    assert after(back, *again[:2]).phase == "closed"
    assert after(back, *again).phase == "open"


def test_after_its_return_one_fault_is_enough_until_a_job_has_ended_well() -> None:
    back = after(Breaker(), ProbeBegan(at_s=0.0), ProbePassed(at_s=1.0))
    generation = back.generation
    assert after(back, failed(generation=generation)).phase == "open"
    assert after(back, worked(generation=generation), failed(generation=generation)).phase == "closed"


def test_jobs_of_the_time_before_are_no_news() -> None:
    back = after(CLOSED, failed(fault="fatal"), ProbeBegan(at_s=2.0), ProbePassed(at_s=3.0))
    assert after(back, failed(fault="fatal", generation=1, at_s=4.0)) == back


def test_pauses_between_probes_double_up_to_a_bound() -> None:
    breaker, pauses = after(CLOSED, failed(fault="fatal", at_s=0.0)), []
    for _ in range(8):
        now = breaker.probe_at_s
        breaker = after(breaker, ProbeBegan(at_s=now), ProbeFailed(at_s=now, why="silent", jitter=0.0))
        pauses.append(breaker.probe_at_s - now)
    assert pauses == [4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0, 60.0]


def test_an_engine_that_is_only_loading_is_asked_again_soon() -> None:
    breaker = Breaker()
    for _ in range(8):
        now = breaker.probe_at_s
        loading = ProbeFailed(at_s=now, why="loading", jitter=0.0, busy=True)
        breaker = after(breaker, ProbeBegan(at_s=now), loading)
        assert breaker.probe_at_s - now == 4.0


def test_memory_is_bounded() -> None:
    assert len(after(CLOSED, *[worked(n) for n in range(500)]).outcomes) == MAX_OUTCOMES


@pytest.mark.parametrize("event", [ProbePassed(at_s=1.0), ProbeFailed(at_s=1.0, why="late", jitter=0.0)])
def test_a_probe_that_nobody_awaits_any_more_changes_nothing(event: Event) -> None:
    assert after(CLOSED, event) == CLOSED
