"""Slots that were given away since the fleet was looked at are nobody's any more, though the view calls them free."""

from __future__ import annotations

import pytest

from northstar.policy.routing.given_slots import GivenSlots
from tests.policy.routing.test_pool_capacity import a_machine, a_profile, fleet


def test_what_was_given_counts_until_the_fleet_is_looked_at_again() -> None:
    given = GivenSlots()
    given.give("standard", {"standard": 1.0})
    assert (given.of("standard"), given.of("heavy")) == (1, 0)
    given.view_begins()
    given.view_is_new()
    assert given.of("standard") == 0


def test_what_is_given_while_the_fleet_is_read_counts_on() -> None:
    given = GivenSlots()
    given.give("standard", {})
    given.view_begins()
    given.give("standard", {})
    assert given.of("standard") == 2
    given.view_is_new()
    assert given.of("standard") == 1


def test_a_job_of_one_pool_takes_a_slot_of_another_as_far_as_they_have_the_same_machines() -> None:
    both, one = a_profile("standard", "heavy"), a_profile("standard")
    capacity = fleet(a_machine("a", "both"), *(a_machine(f"b{at}", "one") for at in range(3)), both=both, one=one)
    assert capacity.shared("standard") == {"standard": 1.0, "heavy": 0.25, "uniform": 1.0}
    assert capacity.shared("heavy") == {"standard": 1.0, "heavy": 1.0, "uniform": 1.0}
    assert capacity.shared("research") == {"research": 1.0}
    given = GivenSlots()
    for _ in range(4):
        given.give("standard", capacity.shared("standard"))
    assert (given.of("standard"), given.of("heavy")) == (4, 1)


def test_a_batch_counts_from_its_first_job_on_and_through_a_view_that_is_read_before_it_is_there() -> None:
    given = GivenSlots()
    with given.batch() as batch:
        for _ in range(8):
            batch.give("research", {"research": 1.0})
        assert given.of("research") == 8
        given.view_begins()
        given.view_is_new()
        assert given.of("research") == 8
        batch.taken([True] * 8)
    assert given.of("research") == 8
    given.view_begins()
    given.view_is_new()
    assert given.of("research") == 0


def test_what_is_taken_while_the_fleet_is_read_counts_on_though_it_was_given_before() -> None:
    given = GivenSlots()
    with given.batch() as batch:
        batch.give("standard", {})
        given.view_begins()
        batch.taken([True])
        given.view_is_new()
    assert given.of("standard") == 1


def test_of_a_batch_only_what_came_in_by_it_counts_on() -> None:
    given = GivenSlots()
    with given.batch() as batch:
        for _ in range(3):
            batch.give("standard", {"standard": 1.0, "heavy": 0.5})
        assert (given.of("standard"), given.of("heavy")) == (3, 1)
        batch.taken([False, True, False])
    assert (given.of("standard"), given.of("heavy")) == (1, 0)


def test_a_batch_that_was_refused_leaves_nothing_behind_and_others_as_they_are() -> None:
    given = GivenSlots()

    def refused() -> None:
        with given.batch() as batch:
            batch.give("standard", {})
            assert given.of("standard") == 2
            raise ValueError("refused")

    with given.batch() as other:
        other.give("standard", {})
        with pytest.raises(ValueError, match="refused"):
            refused()
        assert given.of("standard") == 1
