"""Lots are fair, and the same for the same words."""

from __future__ import annotations

from collections import Counter

from northstar.policy.baselines.lots import lot


def test_no_number_comes_oftener_than_another() -> None:
    counts = Counter(int(10 * lot("seed", number)) for number in range(10_000))
    # Binomial(10,000, .1) has a standard deviation of 30.
    assert all(abs(counts[tenth] - 1_000) < 150 for tenth in range(10))


def test_words_that_run_together_are_not_the_same_words() -> None:
    assert lot("a", "bc") != lot("ab", "c")
