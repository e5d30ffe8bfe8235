"""ModelMesh's choice of an instance, by hand."""

from __future__ import annotations

from typing import Any

from northstar.policy.baselines.copy_placement import (
    Instance,
    PlacementRule,
    Serving,
    in_placement_order,
    not_too_busy,
    place,
    serving_copy,
    shortlist,
    would_churn,
)

NOW = 1_000_000_000
RULE = PlacementRule(least_room_bytes=10)
MINUTE = 60_000


def instance(name: str, *, room: int = 50, **facts: Any) -> Instance:
    return Instance(
        id=name, capacity_bytes=100, used_bytes=100 - room, **({"models": 3, "oldest_ms": NOW - 60 * MINUTE} | facts)
    )


def full(name: str, *, oldest_min: float, **facts: Any) -> Instance:
    return instance(name, room=9, oldest_ms=NOW - int(oldest_min * MINUTE), **facts)


def names(found: list[Instance]) -> str:
    return " ".join(one.id for one in found)


def test_those_with_room_come_first_then_fewer_models_then_more_room() -> None:
    some = [
        full("full", oldest_min=900),
        instance("many", models=4, room=90),
        instance("some", room=40),
        instance("roomy", room=60),
    ]
    assert (
        names(in_placement_order([instance("leaves", models=0, leaves=True), *some], RULE))
        == "roomy some many full leaves"
    )


def test_of_full_ones_that_with_the_oldest_model_comes_first_however_many_it_has() -> None:
    assert (
        names(in_placement_order([full("new", oldest_min=20, models=1), full("old", oldest_min=90, models=9)], RULE))
        == "old new"
    )


def test_an_empty_one_comes_before_one_with_models() -> None:
    assert (
        names(in_placement_order([instance("used"), instance("empty", room=100, models=0, oldest_ms=None)], RULE))
        == "empty used"
    )


def test_about_as_good_is_a_quarter_of_the_best_ones_room() -> None:
    # The best has 80; 20 are a quarter, 19 are not.
    some = [instance("best", room=80), instance("quarter", room=20), instance("less", room=19)]
    assert names(shortlist(some, now_ms=NOW, rule=RULE)) == "best quarter"


def test_about_as_good_is_fewer_than_ten_models_or_a_quarter_more_than_the_best_has() -> None:
    # 8 + 8 / 4 = 10: ten models are about as good as eight, eleven are not; nine always are.
    some = [instance("best", models=8), instance("ten", models=10), instance("eleven", models=11)]
    assert names(shortlist(some, now_ms=NOW, rule=RULE)) == "best ten"
    assert (
        names(shortlist([instance("best", models=1), instance("nine", models=9)], now_ms=NOW, rule=RULE)) == "best nine"
    )


def test_of_full_ones_about_as_old_is_45_seconds_or_a_tenth() -> None:
    # The oldest is 60 min old: a tenth are 6 min. 54 min are near enough, 53 are not.
    some = [full("60", oldest_min=60), full("54", oldest_min=54), full("53", oldest_min=53)]
    assert names(shortlist(some, now_ms=NOW, rule=RULE)) == "60 54"
    # Of 2 min a tenth are 12 s, so the 45 s count.
    some = [full("120 s", oldest_min=2), full("75 s", oldest_min=1.25), full("74 s", oldest_min=74 / 60)]
    assert names(shortlist(some, now_ms=NOW, rule=RULE)) == "120 s 75 s"


def test_busy_ones_are_left_out_the_sooner_the_later_the_model_was_used() -> None:
    some = [instance(str(rate), requests_per_min=rate) for rate in (50, 200, 221, 301, 601, 801)]
    # The least counts as 100 at least: the limits are 110, 150, 300 and 400.
    assert names(not_too_busy(some, used_ago_ms=-20_000)) == "50"
    assert names(not_too_busy(some[1:], used_ago_ms=-20_000)) == "200"  # 1.1 * 200 = 220
    assert names(not_too_busy(some[1:], used_ago_ms=0)) == "200 221"  # 1.5 * 200 = 300, and 301 is more
    assert names(not_too_busy(some[1:], used_ago_ms=5_000)) == "200 221 301"  # 3 * 200
    assert names(not_too_busy(some[1:], used_ago_ms=12 * MINUTE)) == "200 221 301 601"  # 4 * 200
    assert len(not_too_busy(some, used_ago_ms=24 * 60 * MINUTE)) == 6


def test_the_lot_decides_between_those_about_as_good() -> None:
    some = [instance("a", room=52), instance("b", room=51), instance("c", room=50)]
    drawn = [place(some, now_ms=NOW, used_ago_ms=0, drawn=lot, rule=RULE) for lot in (0.0, 0.34, 0.99)]
    assert [one.id for one in drawn if one] == ["a", "b", "c"]
    assert place([], now_ms=NOW, used_ago_ms=0, drawn=0.0, rule=RULE) is None


def test_a_full_one_whose_oldest_model_was_used_within_ten_minutes_refuses() -> None:
    assert would_churn(full("f", oldest_min=9.9), now_ms=NOW, rule=RULE)
    assert not would_churn(full("f", oldest_min=10), now_ms=NOW, rule=RULE)
    assert not would_churn(instance("roomy", oldest_ms=NOW), now_ms=NOW, rule=RULE)
    assert place([full("f", oldest_min=1)], now_ms=NOW, used_ago_ms=0, drawn=0.0, rule=RULE) is None


def test_the_least_used_copy_serves_then_that_which_was_idle_longest_and_loaded_before_loading() -> None:
    def copy(name: str, in_use: int, used_min: int, loaded_min: int) -> Serving:
        return Serving(name, in_use, NOW - used_min * MINUTE, NOW - loaded_min * MINUTE)

    def chosen(*copies: Serving) -> str:
        found = serving_copy(copies, now_ms=NOW, loads_within_ms=MINUTE)
        return found.instance if found else ""

    assert chosen(copy("busy", 2, 9, 60), copy("idle", 0, 1, 60), copy("idle longer", 0, 5, 60)) == "idle longer"
    assert chosen(copy("loading", 0, 9, 1), copy("busy", 3, 9, 60)) == "busy"
    assert chosen(copy("loading", 0, 9, 0), copy("loading longer", 0, 9, 1)) == "loading longer"
    assert not chosen()
