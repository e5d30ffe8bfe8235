"""Figures by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from northstar.evaluation import measures, prediction_measures
from northstar.evaluation.errors import NothingToMeasure
from northstar.evaluation.measures import Ended, Fetched, Ran, Redundant


def test_a_percentile_is_a_value_that_was_there() -> None:
    twenty = [float(number) for number in range(1, 21)]
    # .95 * 20 = 19, the nineteenth; .951 * 20 = 19.02, the twentieth; .9 * 20 = 18.
    assert [measures.percentile(twenty, share) for share in (0.95, 0.951, 0.9, 0.0)] == [19.0, 20.0, 18.0, 1.0]
    assert measures.percentile([1.0, math.inf], 1.0) == math.inf


def test_a_file_counts_as_redundant_when_the_fleet_has_had_it_before() -> None:
    fetches = [Fetched("a", 4), Fetched("b", 2), Fetched("a", 4), Fetched("a", 4), Fetched("c", 1)]
    assert measures.redundant(fetches) == Redundant(fetches=5, fetched_bytes=15, redundant=2, redundant_bytes=8)
    # c was fetched before the window: one more, of 1 byte.
    assert measures.redundant(fetches, known={"c"}).redundant_bytes == 9


def test_replicas_are_stored_bytes_over_different_ones() -> None:
    # a (4) on three machines, b (2) on one: 14 stored, 6 different.
    held = {"m1": {"a": 4, "b": 2}, "m2": {"a": 4}, "m3": {"a": 4}, "m4": {}}
    assert measures.replicas(held) == 14 / 6


def test_demand_that_is_held_counts_by_requests() -> None:
    assert measures.demand_held({"a": 6, "b": 3, "c": 1}, {"a", "c", "unasked"}) == 0.7


def test_utilisation_is_over_all_pools_and_that_of_the_least() -> None:
    busy, paid = {"lightning": 40.0, "heavy": 80.0}, {"lightning": 100.0, "heavy": 100.0, "research": 0.0}
    assert measures.utilisation(busy, paid) == (0.6, 0.4)
    # A pool that is paid for and does nothing has 0.
    assert measures.utilisation(busy, paid | {"research": 40.0}) == (0.5, 0.0)


def test_a_fallback_is_a_miss_and_the_border_is_tolerated() -> None:
    jobs = [
        Ran("fast-lane", "fast-lane"),
        Ran("standard", "fast-lane", frozenset({"fast-lane", "standard"})),  # 29 s, within 25 % of the border of 30
        Ran("heavy", "standard", frozenset({"standard"})),
        Ran("heavy", "heavy", frozenset({"heavy"})),
    ]
    assert measures.optimal_pool(jobs) == (0.5, 0.75)


def test_completion_leaves_out_what_was_cancelled_and_what_fails_itself() -> None:
    jobs = [Ended(True), Ended(True), Ended(False), Ended(False, cancelled=True), Ended(False, failed_itself=True)]
    assert measures.completion(jobs) == 2 / 3


def test_pre_warmed_models_that_were_there_already_do_not_count() -> None:
    assert measures.prewarmed_used([(False, True), (False, False), (True, True), (False, True)]) == 2 / 3


def test_cuts_and_growths_are_relative_to_the_baseline() -> None:
    assert measures.cut(32.0, 1_000.0, "bytes") == pytest.approx(0.968)
    assert measures.added(104.5, 100.0, "bytes") == pytest.approx(0.045)


def test_accuracy_of_a_mix_is_one_less_its_total_variation() -> None:
    # (.5, .5, 0) against (.25, .5, .25): (.25 + 0 + .25) / 2 = .25.
    assert prediction_measures.mix_accuracy({"a": 2, "b": 2}, {"a": 1, "b": 2, "c": 1}) == 0.75


def test_wape_weighs_by_what_came() -> None:
    # |90 - 100| + |30 - 20| = 20 of 120.
    assert prediction_measures.wape([(90, 100), (30, 20)]) == pytest.approx(1 / 6)


def test_an_interval_holds_its_borders() -> None:
    assert prediction_measures.coverage([(1, 3, 1), (1, 3, 3), (1, 3, 3.1), (1, 3, 2)]) == 0.75


def test_a_switch_is_judged_without_the_current_model() -> None:
    cases = [
        ("a", ["a", "b", "c"], "b"),  # without a, b is the first
        ("a", ["a", "b", "c"], "c"),  # the second
        ("a", ["a", "b", "c"], "a"),  # no switch
        ("b", ["c", "b", "a"], "d"),  # not foreseen
    ]
    assert prediction_measures.switch_hits(cases, 1) == pytest.approx(1 / 3)
    assert prediction_measures.switch_hits(cases, 2) == pytest.approx(2 / 3)
    # All cases: the first is right once of four, the first three are right three times.
    assert prediction_measures.top_hits([(foreseen, came) for _, foreseen, came in cases], 1) == 0.25
    assert prediction_measures.top_hits([(foreseen, came) for _, foreseen, came in cases], 3) == 0.75


@pytest.mark.parametrize(
    "measure",
    [
        lambda: measures.share_below([], 10.0),
        lambda: measures.percentile([], 0.95),
        lambda: measures.cut(1.0, 0.0, "bytes"),
        lambda: measures.replicas({"m1": {}}),
        lambda: measures.demand_held({}, {"a"}),
        lambda: measures.utilisation({}, {"heavy": 0.0}),
        lambda: measures.optimal_pool([]),
        lambda: measures.completion([Ended(False, cancelled=True)]),
        lambda: measures.prewarmed_used([(True, True)]),
        lambda: measures.uptime([]),
        lambda: prediction_measures.wape([(3, 0)]),
        lambda: prediction_measures.mix_accuracy({"a": 1}, {}),
        lambda: prediction_measures.set_f1([], []),
        lambda: prediction_measures.coverage([]),
        lambda: prediction_measures.within([], 0.25),
        lambda: prediction_measures.switch_hits([("a", ["a"], "a")], 1),
    ],
)
def test_a_share_of_nothing_is_refused_by_name(measure: Callable[[], object]) -> None:
    with pytest.raises(NothingToMeasure, match="there is nothing to measure") as refused:
        measure()
    assert refused.value.code == "NS_NOTHING_TO_MEASURE"
