"""A soak's judgement of what happened, and the soak itself on a small fleet."""

from __future__ import annotations

import msgspec
import pytest

from benchmarks import soak
from benchmarks.__main__ import main
from benchmarks.contract import Options
from benchmarks.soak.plan import Plan, request
from benchmarks.soak.suite import Figures, failures_of, plan_of, text_of
from benchmarks.soak.verdict import verdict
from northstar.domain.events import Event, EventId

KILLED_MS = {"m1": 1_000}


def history(*told: tuple[int, str, str, dict[str, str]]) -> list[Event]:
    return [
        Event(id=EventId(1, place), kind=f"job.{kind}", subject=job, number=place, at_ms=at_ms, data=data)
        for place, (at_ms, kind, job, data) in enumerate(told, start=1)
    ]


def test_a_job_lost_with_its_machine_waited_from_the_kill_to_its_next_start() -> None:
    events = history(
        (10, "submitted", "a", {}),
        (20, "started", "a", {"machine": "m1"}),
        (5_000, "returned", "a", {"machine": "m1", "because": "silent"}),
        (5_400, "offered", "a", {"machine": "m2"}),
        (5_500, "started", "a", {"machine": "m2"}),
        (6_000, "succeeded", "a", {}),
    )
    found = verdict(events, ["a"], KILLED_MS)
    assert (found.lost, found.done_twice, found.charged, found.recoveries_ms) == ((), (), (), (4_400,))


def test_what_a_living_machine_handed_back_was_not_lost() -> None:
    events = history(
        (10, "offered", "a", {"machine": "m2"}),
        (20, "returned", "a", {"machine": "m2"}),
        (30, "started", "a", {"machine": "m3"}),
        (40, "succeeded", "a", {}),
    )
    assert verdict(events, ["a"], KILLED_MS).recoveries_ms == ()


def test_jobs_that_never_ended_ended_twice_or_were_charged_are_named() -> None:
    events = history(
        (10, "started", "twice", {"machine": "m2"}),
        (20, "succeeded", "twice", {}),
        (30, "succeeded", "twice", {}),
        (40, "retrying", "charged", {"code": "NS_OUTPUT_NOT_SENT"}),
        (50, "succeeded", "charged", {}),
    )
    found = verdict(events, ["twice", "charged", "never"], KILLED_MS)
    assert (found.lost, found.done_twice, found.charged) == (("never",), ("twice",), ("charged",))
    figures = Figures(
        plan=Plan(), took_s=1.0, kills=1, verdict=found, serve_cores=0.1, others_cores=0, memory_mb=(1, 2)
    )
    assert failures_of(figures) == (
        "1 jobs lost: never",
        "1 jobs done twice: twice",
        "1 jobs charged for a lost machine: charged",
    )
    assert "1 lost, 1 done twice, 1 charged" in text_of(figures)


def test_a_wait_beyond_the_goal_is_said_aloud() -> None:
    found = msgspec.structs.replace(verdict([], [], {}), recoveries_ms=(4_000, 12_000))
    figures = Figures(
        plan=Plan(), took_s=1.0, kills=1, verdict=found, serve_cores=0.1, others_cores=0, memory_mb=(1, 2)
    )
    assert text_of(figures).endswith("GOAL MISSED: started elsewhere 12.0 s after the kill (p99); goal 10 s")


def test_how_many_jobs_come_in_over_how_long_can_be_said() -> None:
    assert (plan_of(Options(rounds=1)).jobs, plan_of(Options(rounds=1)).over_s) == (10_000, 0.0)
    assert plan_of(Options(rounds=1, jobs=500, over_s=180.0)) == Plan(jobs=500, over_s=180.0)
    files = [number for number in range(100) if "simulate" in request(Plan(), number).payload]
    assert files == [0, 20, 40, 60, 80]


@pytest.mark.parametrize("bad", ["--jobs=9", "--over-s=-1", "--over-s=90000"])
def test_counts_and_times_beyond_sense_are_refused(bad: str) -> None:
    with pytest.raises(SystemExit):
        main(["soak", bad])


@pytest.mark.long
def test_a_small_fleet_loses_nothing_while_its_hosts_are_killed() -> None:
    outcome = soak.run(Options(rounds=1, quick=True))
    assert outcome.failures == ()
    assert "0 lost, 0 done twice, 0 charged" in outcome.text
