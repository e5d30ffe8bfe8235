"""A machine may bring many names at first and a few later; one that brings ever more waits."""

from __future__ import annotations

from northstar.policy.admission.news import Budget, NewsRule, after, left, wait_s

RULE = NewsRule(burst=100, every_s=10.0)


def test_a_machine_that_is_new_may_bring_a_whole_folder_at_once() -> None:
    assert wait_s(100, None, 0.0, RULE) == 0


def test_one_that_has_brought_as_many_waits_for_each_further_one() -> None:
    budget = after(100, None, 0.0, RULE)
    assert wait_s(1, budget, 0.0, RULE) == 10
    assert wait_s(3, budget, 5.0, RULE) == 25
    assert wait_s(3, budget, 30.0, RULE) == 0


def test_what_is_left_never_grows_beyond_the_first_allowance() -> None:
    assert left(Budget(5.0, 0.0), 1e9, RULE) == 100


def test_more_than_may_ever_be_brought_at_once_waits_for_the_whole_allowance_and_is_then_let_through() -> None:
    assert wait_s(1_000, after(100, None, 0.0, RULE), 0.0, RULE) == 1_000
    assert wait_s(1_000, None, 0.0, RULE) == 0
