"""Slots that were given away since the fleet was looked at are nobody's any more, though the view calls them free."""

from __future__ import annotations

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
