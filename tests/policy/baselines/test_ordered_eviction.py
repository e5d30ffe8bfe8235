"""Least recently used, and farthest next use."""

from __future__ import annotations

from typing import Any

from northstar.policy.baselines.ordered_eviction import plan_farthest, plan_least_recent
from northstar.policy.models.eviction import Candidate, EvictionPlan

GB = 1_000_000_000


def model(name: str, **facts: Any) -> Candidate:
    return Candidate(name=name, **({"size_bytes": 4 * GB, "fetch_s": 32.5, "idle_s": 60.0} | facts))


def dropped(plan: EvictionPlan) -> list[str]:
    return [one.name for one in plan.drops]


def test_what_was_used_longest_ago_goes_first_however_large_or_dear_it_is() -> None:
    models = [
        model("new and cheap", idle_s=10.0, size_bytes=9 * GB, fetch_s=1.0),
        model("older", idle_s=20.0, size_bytes=GB),
        model("oldest and dear", idle_s=30.0, size_bytes=GB, fetch_s=9_000.0),
    ]
    # 1 GB and 1 GB make the 2 GB that are needed.
    found = plan_least_recent(models, need_bytes=2 * GB)
    assert (dropped(found), found.freed_bytes) == (["oldest and dear", "older"], 2 * GB)
    assert [one.name for one in found.keeps] == ["new and cheap"]


def test_small_ones_that_went_first_are_not_brought_back_when_a_large_one_follows() -> None:
    models = [model("large", idle_s=10.0, size_bytes=8 * GB), model("small", idle_s=20.0, size_bytes=GB)]
    assert dropped(plan_least_recent(models, need_bytes=8 * GB)) == ["small", "large"]


def test_what_is_in_use_reserved_or_not_to_be_had_again_stays() -> None:
    models = [model("a", in_use=True), model("b", reserved=True), model("c", refetchable=False), model("d", idle_s=0.0)]
    assert dropped(plan_least_recent(models, need_bytes=GB)) == ["d"]
    assert not plan_least_recent(models, need_bytes=5 * GB).is_enough


def test_what_is_used_again_last_goes_first_and_what_never_is_before_it() -> None:
    models = [model("soon"), model("late"), model("never")]
    uses = {"soon": 3.0, "late": 90.0}
    assert dropped(plan_farthest(models, need_bytes=4 * GB, next_use=uses)) == ["never"]
    assert dropped(plan_farthest(models, need_bytes=8 * GB, next_use=uses)) == ["never", "late"]
    assert plan_farthest(models, need_bytes=8 * GB, next_use=uses).drops[1].reason == "next used at 90"


def test_of_those_that_are_never_used_again_the_largest_goes() -> None:
    models = [model("small", size_bytes=GB), model("large", size_bytes=6 * GB)]
    assert dropped(plan_farthest(models, need_bytes=GB, next_use={})) == ["large"]
