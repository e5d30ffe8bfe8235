"""Whether a simulation meets its goals, and how early that is known."""

from __future__ import annotations

import pytest

from northstar.evaluation.planning.goals import parse_goal
from northstar.evaluation.planning.judge import Aim, Judge, Settled
from northstar.policy.fleet.cheapest_fleet import Until
from northstar.simulation.outcome import Ending, JobOutcome

GOAL = parse_goal("wait<10s@90%")


def job(
    wait_s: float | None,
    *,
    pool: str = "a",
    at_ms: int = 0,
    ran: str = "",
    ending: Ending = "succeeded",
    cold: bool = False,
) -> JobOutcome:
    began_ms = None if wait_s is None else at_ms + round(wait_s * 1_000)
    return JobOutcome(
        number=1,
        tenant="t",
        ending=ending,
        submitted_ms=at_ms,
        began_ms=began_ms,
        ended_ms=0 if began_ms is None else began_ms + 5_000,
        pool=ran or pool,
        optimal=pool,
        is_cold=cold,
    )


def judge(jobs: int, *, until: Until = "end", asked: tuple[int, ...] = (0, 1), from_ms: int = 0) -> Judge:
    aims = [Aim(0, GOAL, frozenset({"a"})), Aim(1, GOAL, frozenset({"b"}))]
    return Judge(
        aims,
        parts=["a", "b"],
        pool_of=lambda one: one.optimal,
        jobs=jobs,
        asked=asked,
        until=until,
        from_ms=from_ms,
        until_ms=None,
    )


def told(found: Judge, *, is_whole: bool = True) -> list[tuple[int, int, bool | None]]:
    return [(one.jobs, one.within, one.met) for one in found.verdicts(is_whole=is_whole)]


def test_each_part_is_judged_by_the_jobs_that_were_wanted_in_it() -> None:
    found = judge(20)
    for at in range(10):
        found.add(job(1 if at else 11))
        found.add(job(1 if at > 1 else 11, pool="b", ran="a"))
    assert told(found) == [(10, 9, True), (10, 8, False)]
    assert [round(one.margin, 3) for one in found.verdicts(is_whole=True)] == [0.0, -0.1]


def test_exactly_ten_seconds_are_not_less_and_jobs_that_never_began_are_late() -> None:
    found = judge(3)
    for wait_s in (9.999, 10, None):
        found.add(job(wait_s))
    assert told(found)[0] == (3, 1, False)


def test_a_response_is_until_the_end_and_a_job_without_an_end_is_late() -> None:
    aim = Aim(0, parse_goal("response<6s@50%"), frozenset())
    found = Judge(
        [aim], parts=["all"], pool_of=lambda one: one.optimal, jobs=4, asked=(0,), until="end", from_ms=0, until_ms=None
    )
    for one in (job(0.9), job(1.1), job(0.5, ending="failed"), job(0.5, ending="running")):
        found.add(one)
    assert told(found) == [(4, 2, True)]


def test_cancelled_jobs_and_those_outside_of_the_window_do_not_count() -> None:
    found = judge(2, from_ms=100)
    found.add(job(50, at_ms=99))
    found.add(job(None, at_ms=100, ending="canceled"))
    found.add(job(1, at_ms=100))
    assert told(found)[0] == (1, 1, True)


def test_a_job_that_no_part_is_for_counts_where_it_ran_and_else_everywhere() -> None:
    found = judge(2)
    found.add(job(1, pool="elsewhere", ran="b"))
    found.add(job(None, pool="elsewhere", ending="waiting"))
    assert told(found) == [(1, 0, False), (2, 1, False)]


def test_late_jobs_that_waited_for_a_model_are_counted_apart() -> None:
    found = judge(3)
    found.add(job(20, cold=True))
    found.add(job(20))
    found.add(job(1, cold=True))
    assert found.verdicts(is_whole=True)[0].late_cold == 1


def test_a_simulation_is_broken_off_when_no_job_that_remains_could_help() -> None:
    found = judge(20, until="each", asked=(0,))
    found.add(job(11))
    found.add(job(11))  # 18 of 20 would do
    with pytest.raises(Settled):
        found.add(job(11))
    assert told(found, is_whole=False) == [(3, 0, False), (0, 0, None)]


def test_it_goes_on_until_it_is_known_of_all_parts_that_are_asked_about() -> None:
    found = judge(20, until="each")
    for _ in range(5):
        found.add(job(11))
    found.add(job(11, pool="b"))
    with pytest.raises(Settled):
        found.add(job(11, pool="b"))


def test_where_all_must_be_good_enough_the_first_that_is_not_settles_it() -> None:
    found = judge(20, until="all")
    found.add(job(11))
    found.add(job(11))
    with pytest.raises(Settled):
        found.add(job(11))


def test_a_part_without_jobs_has_met_its_goals() -> None:
    found = judge(1)
    found.add(job(1))
    verdicts = found.verdicts(is_whole=True)
    assert (verdicts[1].met, verdicts[1].share) == (True, None)
