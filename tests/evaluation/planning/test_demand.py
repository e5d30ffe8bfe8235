"""What jobs ask for: bounds that no fleet can go below, and a guess to begin with."""

from __future__ import annotations

import pytest

from northstar.evaluation.planning.demand import Demand, demands
from northstar.evaluation.planning.goals import parse_goal
from northstar.simulation.inputs import SimulatedJob
from tests.simulation.rig import job, model

GOAL = parse_goal("wait<10s@90%")


def demand(*jobs: SimulatedJob, from_ms: int = 0) -> Demand:
    found = Demand(from_ms=from_ms)
    for one in jobs:
        found.see(one)
    return found


def test_fewer_machines_than_there_is_work_for_are_impossible() -> None:
    # 1,000 s of work within 991 s, 10 s of waiting and the last job's own run.
    busy = demand(*(job(at_s, run_s=10) for at_s in range(0, 1_000, 10)))
    assert busy.least([parse_goal("wait<10s@100%")], slots=1) == 1
    busier = demand(*(job(at_s, run_s=20) for at_s in range(0, 1_000, 10)))
    assert busier.least([parse_goal("wait<10s@100%")], slots=1) == 2
    assert busier.least([parse_goal("wait<10s@100%")], slots=2) == 1


def test_the_jobs_that_may_be_late_do_not_count_for_the_bound() -> None:
    few_long = demand(*(job(at_s, run_s=1_000 if at_s >= 900 else 1) for at_s in range(0, 1_000, 10)))
    assert few_long.least([GOAL], slots=1) == 1
    assert few_long.least([parse_goal("wait<10s@100%")], slots=1) > 1


def test_the_guess_is_enough_for_all_but_the_busiest_minutes() -> None:
    quiet = [job(at_s, run_s=60) for at_s in range(0, 7_200, 60)]
    rush = [job(7_200 + at_s, run_s=60) for at_s in range(0, 100, 10)]
    assert demand(*quiet, *rush).guess([GOAL], slots=1) == 1
    assert demand(*quiet, *rush).guess([parse_goal("wait<10s@99%")], slots=1) == 5


def test_a_response_shorter_than_the_work_is_possible_for_the_others_alone() -> None:
    found = demand(*(job(at_s, run_s=2 if at_s % 4 else 5) for at_s in range(8)))
    assert found.possible(parse_goal("response<3s@90%")) == 0.75
    assert found.possible(parse_goal("wait<1ms@100%")) == 1.0


def test_the_window_holds_for_work_and_everything_for_sizes() -> None:
    found = demand(job(0, model("large", gb=7), run_s=99), job(10, model("small"), run_s=1), from_ms=5_000)
    assert (found.jobs, found.work_s, found.all_jobs) == (1, 1.0, 2)
    assert (found.largest.name, found.largest_bytes) == ("large", 7_000_000_000)


def test_what_an_image_may_hold_is_asked_for_most_first() -> None:
    found = demand(job(0, model("rare")), job(1, model("often")), job(2, model("often")))
    assert [file.name for file in found.files()] == ["often", "rare"]


@pytest.mark.parametrize(("circle", "jobs"), [(frozenset({"a"}), 2), (frozenset({"a", "b"}), 3), (frozenset(), 3)])
def test_jobs_are_counted_by_the_pools_that_they_are_wanted_in(circle: frozenset[str], jobs: int) -> None:
    (found,) = demands(
        (job(at_s) for at_s in range(3)), [circle], lambda number: "aba"[number - 1], from_ms=0, until_ms=None
    )
    assert found.jobs == jobs
