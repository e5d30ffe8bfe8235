"""How large a fleet is that is fixed, and one that follows its queue."""

from __future__ import annotations

import pytest

from northstar.policy.baselines.fleet_size import FleetMemory, QueueRule, fixed_fleet, queue_fleet

RULE = QueueRule(jobs_per_machine=5.0, least=0, most=20)


def sizes(jobs_by_s: list[tuple[int, int]], *, rule: QueueRule = RULE, machines: int = 0) -> list[int]:
    """The size after each look at (seconds, jobs)."""
    memory, found = FleetMemory(), []
    for at_s, jobs in jobs_by_s:
        size = queue_fleet(jobs, machines, memory, now_ms=1_000 * at_s, rule=rule)
        machines, memory = size.machines, size.memory
        found.append(machines)
    return found


def test_a_fixed_fleet_is_as_large_as_it_was_ordered() -> None:
    assert fixed_fleet(24).machines == 24


def test_the_first_job_starts_one_machine_and_the_next_look_as_many_as_the_queue_asks_for() -> None:
    # 0 -> 1 (KEDA); then ceil(12 / 5) = 3 (the autoscaler).
    assert sizes([(0, 12), (30, 12)]) == [1, 3]


def test_it_starts_with_the_least_where_one_is_set() -> None:
    assert sizes([(0, 12)], rule=QueueRule(jobs_per_machine=5.0, least=2)) == [2]


@pytest.mark.parametrize(("jobs", "wanted"), [(50, 10), (54, 10), (56, 12), (46, 10), (44, 10)])
def test_a_difference_of_a_tenth_changes_nothing(jobs: int, wanted: int) -> None:
    # 10 machines stand for 50 jobs: 54 / 50 = 1.08 is within the tolerance, 56 / 50 = 1.12 is not, and ceil(56 / 5) = 12. 44 ask for 9,
    # but it shrinks later only.
    assert sizes([(0, jobs)], machines=10) == [wanted]


def test_it_grows_by_four_or_to_twice_its_size_in_15_seconds_whichever_is_more() -> None:
    # 100 jobs ask for 20. From 1: at most 1 + 4 = 5; 15 s later twice 5 = 10; then 20.
    assert sizes([(0, 100), (15, 100), (30, 100)], machines=1) == [5, 10, 20]
    # Within the same 15 s nothing is added twice: 5 had 1 before them, so 5 is the limit still.
    assert sizes([(0, 100), (10, 100)], machines=1) == [5, 5]


def test_it_shrinks_only_when_no_more_was_wanted_for_five_minutes() -> None:
    # 50 jobs: 10 machines at 0 s. 20 jobs ask for 4, and get it once the 10 are older than 300 s.
    assert sizes([(0, 50), (30, 20), (300, 20), (301, 20)], machines=10) == [10, 10, 10, 4]


def test_the_largest_size_of_the_last_five_minutes_counts() -> None:
    # 40 jobs ask for 8 at 100 s, 10 jobs for 2 at 200 s; at 350 s the 10 of 0 s are forgotten and the 8 are not; at 401 s these are, too.
    assert sizes([(0, 50), (100, 40), (200, 10), (350, 10), (401, 10)], machines=10) == [10, 10, 10, 8, 2]


def test_the_last_machine_goes_five_minutes_after_the_last_job() -> None:
    assert sizes([(0, 1), (30, 0), (300, 0), (301, 0)], machines=1) == [1, 1, 1, 0]


def test_the_last_one_stays_where_one_is_the_least() -> None:
    assert sizes([(0, 1), (1_000, 0), (2_000, 0)], machines=1, rule=QueueRule(least=1)) == [1, 1, 1]


def test_never_more_than_the_most() -> None:
    assert sizes([(0, 10_000), (15, 10_000)], machines=16) == [20, 20]


def test_what_it_remembers_does_not_grow() -> None:
    memory = FleetMemory()
    for look in range(1_000):
        memory = queue_fleet(look % 7 * 5, 3, memory, now_ms=30_000 * look, rule=RULE).memory
    assert len(memory.wanted) <= 11
    assert len(memory.added) <= 1


def test_every_size_says_why() -> None:
    assert queue_fleet(100, 1, FleetMemory(), now_ms=0, rule=RULE).because == "100 jobs ask for 20, at most 5 for now"
    assert queue_fleet(0, 0, FleetMemory(), now_ms=0, rule=RULE).because == "no job waits"
