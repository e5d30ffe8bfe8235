"""SwarmUI's rule, by hand."""

from __future__ import annotations

from typing import Any

from northstar.policy.baselines.model_pressure import (
    Backend,
    Load,
    NoLoad,
    PressureRule,
    Wanted,
    loads_now,
    next_load,
    serving_backend,
)

NOW = 100_000
RULE = PressureRule()


def backend(name: str, model: str | None = None, **facts: Any) -> Backend:
    return Backend(
        id=name,
        models=frozenset([model] if model else []),
        **({"usages": 0, "max_usages": 2, "released_ms": 0} | facts),
    )


def wanted(model: str, requests: int, *, since_s: float, **facts: Any) -> Wanted:
    return Wanted(model=model, requests=requests, since_ms=NOW - int(1_000 * since_s), **facts)


def chosen(pressures: list[Wanted], backends: list[Backend], *, rule: PressureRule = RULE) -> Load | NoLoad:
    return next_load(pressures, backends, now_ms=NOW, rule=rule)


def test_who_has_the_model_and_is_free_takes_the_job_the_least_used_first() -> None:
    backends = [backend("a", "x", usages=2), backend("b", "x", usages=1), backend("c", "x"), backend("d", "y")]
    assert serving_backend("x", backends) == backends[2]
    assert serving_backend("z", backends) is None
    assert serving_backend("x", [backend("a", "x", loading=True)]) is None


def test_ten_seconds_of_waiting_weigh_as_much_as_one_more_request() -> None:
    # x: 3 * 10 + 5 = 35; y: 1 * 10 + 24 = 34; with one second more y has 35 too, and waited longer.
    idle = [backend("a")]
    assert chosen([wanted("x", 3, since_s=5), wanted("y", 1, since_s=24)], idle) == Load("x", "a")
    assert chosen([wanted("x", 3, since_s=5), wanted("y", 1, since_s=25)], idle) == Load("y", "a")


def test_a_choice_between_backends_waits_for_more_than_a_second_and_a_half() -> None:
    two = [backend("a"), backend("b")]
    assert chosen([wanted("x", 1, since_s=1.5)], two) == NoLoad("the pressure of x is too new")
    assert chosen([wanted("x", 1, since_s=1.501)], two) == Load("x", "a")
    assert chosen([wanted("x", 1, since_s=0)], [backend("a"), backend("b", usages=2)]) == Load("x", "a")


def test_a_new_model_of_the_highest_pressure_keeps_older_ones_waiting() -> None:
    # x: 5 * 10 + 1 = 51 and too new; y: 10 + 30 = 40 is not looked at.
    pressures = [wanted("x", 5, since_s=1), wanted("y", 1, since_s=30)]
    assert chosen(pressures, [backend("a"), backend("b")]) == NoLoad("the pressure of x is too new")


def test_the_backend_that_was_released_longest_ago_loads_and_an_unused_one_before_it() -> None:
    backends = [backend("a", released_ms=50), backend("b", released_ms=20), backend("c", released_ms=10, usages=1)]
    assert chosen([wanted("x", 1, since_s=9)], backends) == Load("x", "b")
    assert chosen([wanted("x", 1, since_s=9)], backends, rule=PressureRule(order="first_free")) == Load("x", "a")


def test_a_model_is_loaded_in_one_place_at_a_time_and_others_beside_it() -> None:
    pressures = [wanted("x", 9, since_s=9), wanted("y", 1, since_s=9)]
    backends = [backend("a", released_ms=1), backend("b", released_ms=2), backend("c", released_ms=3)]
    assert loads_now(pressures, backends, now_ms=NOW, rule=RULE) == (Load("x", "a"), Load("y", "b"))


def test_a_pass_starts_no_more_loads_than_requests_wait() -> None:
    backends = [backend(name) for name in "abcd"]
    assert loads_now([wanted("x", 1, since_s=9)], backends, now_ms=NOW, rule=RULE) == (Load("x", "a"),)
    assert loads_now([], backends, now_ms=NOW, rule=RULE) == ()


def test_backends_that_failed_to_load_it_or_have_it_are_not_asked() -> None:
    two = [backend("a"), backend("b", "x")]
    assert chosen([wanted("x", 1, since_s=9, bad=frozenset("a"))], two) == NoLoad("every free backend has x already")
    assert chosen([wanted("x", 1, since_s=9, bad=frozenset("ab"))], two) == NoLoad(
        "every free backend has failed to load x"
    )


def test_a_model_all_of_whose_requests_can_be_served_goes_before_one_with_more_pressure() -> None:
    some = wanted("x", 9, since_s=9, for_all=frozenset("b"), for_some=frozenset("ab"))
    whole = wanted("y", 1, since_s=9)
    assert chosen([some, whole], [backend("a")]) == Load("y", "a")
    assert chosen([some], [backend("a")]) == Load("x", "a")
    nowhere = wanted("x", 9, since_s=9, for_some=frozenset("b"), for_all=frozenset("b"))
    assert chosen([nowhere], [backend("a")]) == NoLoad("no model is wanted that is not being loaded")


def test_nothing_is_loaded_where_nobody_is_free() -> None:
    assert chosen([wanted("x", 1, since_s=9)], [backend("a", usages=2)]) == NoLoad("no backend is free")
