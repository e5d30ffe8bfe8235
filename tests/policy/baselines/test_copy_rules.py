"""ModelMesh's rules for copies, by hand."""

from __future__ import annotations

from typing import Any

import pytest

from northstar.policy.baselines.copy_rules import (
    Cluster,
    Copy,
    CopyRule,
    UseWatch,
    copies_to_add,
    requests_per_min_of,
    watched_use,
    why_no_second,
    why_stays,
)

RULE = CopyRule()
HOUR = 3_600_000
NOW = 1_000 * HOUR


def regular_at(*looks: int) -> list[bool]:
    """Whether each look (of 10 s) that found a use found regular use."""
    watch, found = UseWatch(), []
    for look in looks:
        watch, is_regular = watched_use(watch, look, RULE)
        found.append(is_regular)
    return found


def test_a_second_use_within_7_to_40_minutes_is_regular() -> None:
    # 420 s are 42 looks, 2,400 s are 240.
    assert regular_at(0, 42) == [False, True]
    assert regular_at(0, 41) == [False, False]
    assert regular_at(0, 240) == [False, True]
    assert regular_at(0, 241) == [False, False]


def test_of_a_burst_only_the_last_two_uses_are_remembered_until_one_of_them_is_7_minutes_old() -> None:
    # After the uses at 0, 1, 2 and 3 those at 2 and 3 are known; the one at 2 is 42 looks old at 44.
    assert regular_at(0, 1, 2, 3, 43) == [False, False, False, False, False]
    assert regular_at(0, 1, 2, 3, 44) == [False, False, False, False, True]


def test_a_use_that_made_the_next_one_regular_is_remembered_while_it_is_in_range() -> None:
    assert regular_at(0, 42, 43, 44) == [False, True, True, True]


def cluster(**facts: Any) -> Cluster:
    return Cluster(**({"capacity_bytes": 1_000, "free_bytes": 0, "oldest_ms": NOW - HOUR, "instances": 10} | facts))


@pytest.mark.parametrize(
    ("facts", "added"),
    [
        ({"free_bytes": 100}, True),  # 10 * 100 / 1,000 = 1: a tenth
        ({"free_bytes": 99}, False),
        ({"oldest_ms": NOW - 20 * HOUR}, False),  # 30 * 2,400 s = 20 h, and it must be more
        ({"oldest_ms": NOW - 20 * HOUR - 1}, True),
        ({"free_bytes": 1_000, "instances": 1}, False),
    ],
)
def test_the_second_copy_comes_where_there_is_room_or_what_it_pushes_out_is_old(
    facts: dict[str, Any], added: bool
) -> None:
    assert (not why_no_second(cluster(**facts), now_ms=NOW, rule=RULE)) is added


def test_one_copy_stands_for_nine_tenths_of_what_it_can_do_or_for_2000_a_minute() -> None:
    # 60 s * 0.9 / 0.1 s = 540, two side by side 1,080; of 100 s less than one, which counts as one.
    assert requests_per_min_of(RULE, mean_run_s=0.1) == 540
    assert requests_per_min_of(RULE, mean_run_s=0.1, side_by_side=2) == 1_080
    assert requests_per_min_of(RULE, mean_run_s=100.0) == 1
    assert requests_per_min_of(RULE, mean_run_s=None) == 2_000


@pytest.mark.parametrize(
    ("asked", "copies", "facts", "added"),
    [
        (1_999, 1, {}, 0),
        (2_000, 1, {}, 1),
        (5_999, 1, {}, 2),  # 5,999 // 2,000
        (20_000, 1, {"instances": 9}, 3),  # 10, but only 8 are left, and of 9 a third is 3
        (
            20_000,
            1,
            {"instances": 5},
            1,
        ),  # a third of 5 is 1, less than the two that the comment of the source speaks of
        (4_000, 1, {"instances": 5}, 2),
        (20_000, 9, {"instances": 10}, 1),  # one is left
        (20_000, 10, {"instances": 10}, 0),
        (20_000, 1, {"instances": 1}, 0),
    ],
)
def test_more_copies_come_by_how_often_one_is_asked(asked: int, copies: int, facts: dict[str, Any], added: int) -> None:
    assert copies_to_add(asked, copies=copies, cluster=cluster(**facts), threshold=2_000) == added


def test_busy_instances_count_twice_and_failed_ones_once() -> None:
    # 10 - 1 - 1 failed = 8; less 2 * 3 busy = 2; 6,000 / 2,000 = 3, so 2.
    assert copies_to_add(6_000, copies=1, cluster=cluster(), threshold=2_000, busy=3, failed=1) == 2
    assert copies_to_add(6_000, copies=1, cluster=cluster(), threshold=2_000, busy=4, failed=1) == 0


def goes(copy: Copy, *, threshold: int = 2_000, **facts: Any) -> bool:
    return not why_stays(copy, cluster(**facts), now_ms=NOW, threshold=threshold, rule=RULE)


def test_the_last_copy_stays_and_no_copy_goes_where_there_is_room() -> None:
    old: dict[str, Any] = {"last_used_ms": NOW - 900 * HOUR}
    assert not goes(Copy(copies=1, **old))
    assert goes(Copy(copies=2, **old), free_bytes=59)  # 5.9 % counts as 5
    assert not goes(Copy(copies=2, **old), free_bytes=60)


def test_the_second_copy_goes_after_a_tenth_of_the_age_of_the_cache_and_after_10_hours_at_most() -> None:
    # The cache is 50 h old: 5 h.
    age = {"oldest_ms": NOW - 50 * HOUR}
    assert not goes(Copy(copies=2, last_used_ms=NOW - 5 * HOUR), **age)
    assert goes(Copy(copies=2, last_used_ms=NOW - 5 * HOUR - 1), **age)
    # It is 500 h old: a tenth is 50 h, and 10 h are enough …
    age = {"oldest_ms": NOW - 500 * HOUR}
    assert goes(Copy(copies=2, last_used_ms=NOW - 10 * HOUR - 1), **age)
    # … but for a model with heavy use that is longer ago than a fifth of the age (100 h): then all 50 h.
    heavy: dict[str, Any] = {"last_heavy_ms": NOW - 101 * HOUR}
    assert not goes(Copy(copies=2, last_used_ms=NOW - 50 * HOUR, **heavy), **age)
    assert goes(Copy(copies=2, last_used_ms=NOW - 50 * HOUR - 1, **heavy), **age)


def test_of_two_copies_that_goes_where_a_new_model_would_be_put_last() -> None:
    assert not goes(Copy(copies=2, last_used_ms=NOW - 900 * HOUR, is_last_choice=False))


@pytest.mark.parametrize(
    ("facts", "gone"),
    [
        ({}, True),
        ({"last_unload_ms": NOW - 79_999}, False),  # 8 looks of 10 s
        ({"last_unload_ms": NOW - 80_000}, True),
        ({"last_load_ms": NOW - 30 * 60_000 + 1}, False),
        ({"last_load_ms": NOW - 30 * 60_000}, True),
        ({"last_heavy_ms": NOW - 5 * HOUR + 1}, False),
        ({"last_heavy_ms": NOW - 5 * HOUR}, True),
        ({"requests_per_min": 1_334}, False),  # two thirds of 2,000 are 1,333
        ({"requests_per_min": 1_333}, True),
        ({"queued": 2}, False),
        ({"queued": 1}, True),
    ],
)
def test_a_third_copy_goes_when_its_use_is_long_over(facts: dict[str, Any], gone: bool) -> None:
    assert goes(Copy(copies=3, last_used_ms=NOW, **facts)) is gone
