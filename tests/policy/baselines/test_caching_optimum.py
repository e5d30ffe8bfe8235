"""The frame of the offline optimum, by hand."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from northstar.policy.baselines.caching_optimum import (
    Assigned,
    CacheTooSmall,
    Files,
    SizesDiffer,
    assigned_optimum,
    farthest_use,
    least_fetched,
    shared_optimum,
)


def ones(names: str) -> list[Files]:
    """One file of size 1 for each letter."""
    return [((name, 1),) for name in names]


def test_three_files_in_turn_through_a_cache_of_two() -> None:
    # A B fetched; C evicts B (next at 4; A at 3): fetched. A hit. B fetched, evicts A (never again). C hit. In all A B C B = 4;
    # least recently used would fetch all 6.
    assert farthest_use(ones("ABCABC"), capacity_bytes=2) == (4, 4)
    # The keeps A-A, B-B, C-C take 3 each, 9 of 2 * 5 = 10: all three are granted, 6 - 3 = 3.
    assert least_fetched(ones("ABCABC"), capacity_bytes=2) == 3


def test_a_cache_of_one_keeps_only_what_is_asked_twice_running() -> None:
    # A, B, (B kept), A again: 3. Keeps: B-B takes 1, A-A takes 3; there are 1 * 3: B-B in full, of A-A 2/3, counted as 1: 4 - 2 = 2.
    assert farthest_use(ones("ABBA"), capacity_bytes=1) == (3, 3)
    assert least_fetched(ones("ABBA"), capacity_bytes=1) == 2


def test_a_request_holds_all_its_files_at_once() -> None:
    base, lora, other = ("base", 4), ("lora", 1), ("other", 5)
    # base + lora: 5 bytes. other (5) evicts both. base + lora again: 5. In all 15.
    assert farthest_use([(base, lora), (other,), (base, lora)], capacity_bytes=5) == (15, 5)
    # With 6: other needs 5 of 6, so only one byte can stay: base (next use 2) and lora (2) tie, the larger goes first, lora may stay: 14.
    assert farthest_use([(base, lora), (other,), (base, lora)], capacity_bytes=6) == (14, 4)
    # Keeps of 4 and 1 bytes, each over 2 requests: 10 of 6 * 2 = 12: both granted: 15 - 5 = 10, less than anybody can reach.
    assert least_fetched([(base, lora), (other,), (base, lora)], capacity_bytes=6) == 10


def test_the_greedy_rule_is_not_optimal_where_sizes_differ_and_the_bound_says_how_far_it_may_be() -> None:
    big, small = ("big", 3), ("small", 1)
    # Room 3: small, big (evicts small), small (evicts big, which is used later), big: 1 + 3 + 1 + 3 = 8; nobody can do better, both do not fit.
    requests: list[Files] = [(small,), (big,), (small,), (big,)]
    assert farthest_use(requests, capacity_bytes=3) == (8, 4)
    # small-small takes 1 * 2, big-big 3 * 2 = 6, of 3 * 3 = 9: both granted: 8 - 4 = 4.
    assert least_fetched(requests, capacity_bytes=3) == 4


def test_machines_keep_to_their_own_requests_and_a_shared_cache_has_them_all() -> None:
    requests = [Assigned("m1", (("a", 4),)), Assigned("m2", (("a", 4),)), Assigned("m1", (("a", 4),))]
    alone = assigned_optimum(requests, capacities={"m1": 4, "m2": 4})
    # a is fetched once by each machine: 8 bytes, 4 of them had been fetched before.
    assert (alone.requested_bytes, alone.reached_bytes, alone.first_bytes, alone.redundant_reached_bytes) == (
        12,
        8,
        4,
        4,
    )
    assert alone.redundant_least_bytes == 4
    shared = shared_optimum([one.files for one in requests], capacity_bytes=8)
    assert (shared.reached_bytes, shared.reached_fetches, shared.redundant_reached_bytes) == (4, 1, 0)


def test_a_request_that_no_cache_can_serve_is_named() -> None:
    with pytest.raises(CacheTooSmall, match="request 2 of m1 needs 5 bytes at once and the cache holds 4"):
        assigned_optimum([Assigned("m1", (("a", 4),)), Assigned("m1", (("a", 4), ("b", 1)))], capacities={"m1": 4})


def test_a_file_has_one_size() -> None:
    with pytest.raises(SizesDiffer, match="file a has 4 bytes in one request and 5 in another"):
        shared_optimum([(("a", 4),), (("a", 5),)], capacity_bytes=9)


def optimum_by_trying_everything(names: str, capacity: int) -> int:
    """The fewest fetches of unit files: what is held after each request is any subset that fits and that was there, or is asked."""
    best: dict[frozenset[str], int] = {frozenset(): 0}
    for name in names:
        after: dict[frozenset[str], int] = {}
        for held, fetched in best.items():
            cost = fetched + (name not in held)
            others = sorted(held - {name})
            for kept in product((False, True), repeat=len(others)):
                state = frozenset([name, *(one for one, stays in zip(others, kept, strict=True) if stays)])
                if len(state) <= capacity:
                    after[state] = min(cost, after.get(state, cost))
        best = after
    return min(best.values())


@given(st.text("ABCD", min_size=1, max_size=9), st.integers(1, 3))
def test_farthest_use_is_optimal_for_files_of_one_size_and_the_bound_never_above_it(names: str, capacity: int) -> None:
    least = optimum_by_trying_everything(names, capacity)
    assert farthest_use(ones(names), capacity_bytes=capacity)[0] == least
    assert least_fetched(ones(names), capacity_bytes=capacity) <= least


@given(
    st.lists(st.sets(st.sampled_from([("a", 1), ("b", 2), ("c", 3), ("d", 4)]), min_size=1, max_size=2), max_size=12),
    st.integers(7, 10),
)
def test_the_bound_is_never_above_what_is_reached(requests: list[set[tuple[str, int]]], capacity: int) -> None:
    files = [tuple(sorted(one)) for one in requests]
    reached, _ = farthest_use(files, capacity_bytes=capacity)
    assert sum(dict(pair for one in files for pair in one).values()) <= reached
    assert least_fetched(files, capacity_bytes=capacity) <= reached
