"""Chance that can be repeated."""

from __future__ import annotations

import pytest

from northstar.simulation.workload.draws import Choice, Draws, share_of


def test_streams_of_other_names_do_not_touch_each_other() -> None:
    alone = Draws(1, "a")
    expected = [alone.share() for _ in range(5)]
    first, second = Draws(1, "a"), Draws(1, "b")
    found = []
    for _ in range(5):
        second.share()
        found.append(first.share())
    assert found == expected
    assert share_of(1, "a", "b") != share_of(1, "ab")


def test_numbers_have_their_distributions() -> None:
    draws = Draws(3, "numbers")
    normal = [draws.normal() for _ in range(20_000)]
    assert sum(normal) / 20_000 == pytest.approx(0, abs=0.03)
    assert sum(one * one for one in normal) / 20_000 == pytest.approx(1, abs=0.04)
    long = sorted(draws.log_normal(8.0, 0.5) for _ in range(10_000))
    assert long[5_000] == pytest.approx(8.0, rel=0.03)
    assert sum(draws.geometric(2.5) for _ in range(10_000)) / 10_000 == pytest.approx(2.5, rel=0.04)
    assert {draws.geometric(1.0) for _ in range(10)} == {1}
    assert {draws.below(3) for _ in range(100)} == {0, 1, 2}


def test_a_choice_needs_something_to_choose() -> None:
    choice = Choice([("never", 0.0), ("a", 1.0), ("b", 3.0)])
    assert [choice.at(share) for share in (0.0, 0.2499, 0.25, 0.999)] == ["a", "a", "b", "b"]
    for weights in ([], [("a", 0.0)], [("a", -1.0), ("b", 2.0)]):
        with pytest.raises(ValueError, match="weights"):
            Choice(weights)
