"""The weight of a waiting job: by the server's own account, and by key."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.cell import Served, served
from benchmarks.memory import GOAL_BYTES, Case, Usage, cases, measure_memory, verdicts, weigh

SMALL = Case(jobs=2_000, body_bytes=100, lanes=10, extras=False)
LARGE = Case(jobs=2_000, body_bytes=2_000, lanes=10, extras=True)


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with served(append_only=False) as running:
        yield running


def usage(committed: float, uncommitted: float) -> Usage:
    return Usage(committed=committed, uncommitted=uncommitted, by_key={"jobs": committed})


def test_the_body_is_not_counted(server: Served) -> None:
    small, large = weigh(server, SMALL), weigh(server, LARGE)
    assert abs(small.by_key["bodies"] - large.by_key["bodies"]) < 300
    assert 100 < small.committed < GOAL_BYTES


def test_committed_events_weigh_nothing_and_the_others_do(server: Served) -> None:
    weighed = weigh(server, SMALL)
    assert weighed.uncommitted - weighed.committed == pytest.approx(weighed.by_key["events"], rel=0.3)


def test_keys_and_deadlines_are_weighed_only_where_they_are_wanted(server: Served) -> None:
    plain, extras = weigh(server, SMALL), weigh(server, LARGE)
    assert plain.by_key["idempotency"] == plain.by_key["deadlines"] == 0
    assert min(extras.by_key["idempotency"], extras.by_key["deadlines"]) > 50


def test_the_parts_make_up_the_whole(server: Served) -> None:
    weighed = weigh(server, LARGE)
    assert sum(weighed.by_key.values()) == pytest.approx(weighed.uncommitted, rel=0.1)


def test_the_goal_is_judged_by_the_heaviest_case() -> None:
    held = verdicts({"light": [usage(100, 200)], "heavy": [usage(GOAL_BYTES, GOAL_BYTES + 1)]})
    assert held[0] == "goal held: events committed, at most 2048 B a job (heavy); goal 2048 B"
    assert held[1].startswith("GOAL MISSED: no event committed, at most 2049 B a job (heavy)")


def test_the_cases_have_both_bodies_one_lane_and_many_and_a_table_that_has_just_doubled() -> None:
    known = cases(quick=False)
    assert {case.body_bytes for case in known} == {100, 2_000}
    assert {case.lanes for case in known} == {1, 1_000}
    assert min(case.jobs for case in known) == 66_000  # just above 2 ** 16
    assert len({case.name for case in known}) == len(known)


def test_the_benchmark_shows_every_case_with_its_verdict() -> None:
    outcome = measure_memory([SMALL, LARGE], rounds=2)
    assert f"| {SMALL.name} " in outcome.text
    assert f"| {LARGE.name} " in outcome.text
    assert outcome.text.count("goal held") == 2
    assert [len(taken) for taken in outcome.figures.values()] == [2, 2]
