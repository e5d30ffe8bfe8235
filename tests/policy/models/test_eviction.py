"""What goes first, what stays, and why."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from northstar.policy.models.eviction import Candidate, EvictionPlan, EvictionRule, plan_eviction

GB = 1_000_000_000


def model(name: str, **facts: Any) -> Candidate:
    return Candidate(name=name, **({"size_bytes": 4 * GB, "fetch_s": 80.0, "idle_s": 3_600.0} | facts))


def plan(*models: Candidate, need_bytes: int = GB) -> EvictionPlan:
    return plan_eviction(models, need_bytes=need_bytes, rule=EvictionRule())


def dropped(found: EvictionPlan) -> list[str]:
    return [drop.name for drop in found.drops]


def test_what_was_used_longest_ago_goes_first() -> None:
    assert dropped(plan(model("new", idle_s=60.0), model("old", idle_s=90_000.0))) == ["old"]


def test_what_is_quicker_to_fetch_again_goes_first() -> None:
    assert dropped(plan(model("slow", fetch_s=800.0), model("quick", fetch_s=8.0))) == ["quick"]


def test_what_is_in_use_reserved_or_not_to_be_had_again_stays_with_its_reason() -> None:
    found = plan(model("a", in_use=True), model("b", reserved=True), model("c", refetchable=False), model("d"))
    assert dropped(found) == ["d"]
    assert [(keep.name, keep.reason.split(",")[0]) for keep in found.keeps] == [
        ("a", "in use"),
        ("b", "reserved"),
        ("c", "found here"),
    ]


def test_nothing_is_dropped_in_vain() -> None:
    found = plan(model("a"), model("b", in_use=True), need_bytes=6 * GB)
    assert (found.drops, found.is_enough) == ((), False)
    assert found.keeps[-1].reason == "dropping everything that may go would not be enough"


def test_small_ones_are_spared_when_a_large_one_makes_the_room_alone() -> None:
    small = [model(f"small {n}", size_bytes=GB, fetch_s=1.0) for n in range(3)]
    found = plan(*small, model("large", size_bytes=8 * GB, fetch_s=160.0), need_bytes=7 * GB)
    assert dropped(found) == ["large"]
    assert found.freed_bytes == 8 * GB


def test_every_drop_says_why() -> None:
    found = plan(model("old", idle_s=7_200.0))
    assert found.drops[0].reason == "unused for 2 h, 4 GB, 80 s to fetch again"


_MODELS = st.lists(
    st.builds(
        Candidate,
        name=st.uuids().map(str),
        size_bytes=st.integers(0, 20),
        fetch_s=st.floats(0, 1e4),
        idle_s=st.floats(-10, 1e6),
        in_use=st.booleans(),
        reserved=st.booleans(),
        refetchable=st.booleans(),
    ),
    max_size=12,
)


@given(models=_MODELS, need_bytes=st.integers(1, 100))
def test_a_plan_frees_enough_without_one_needless_drop_or_drops_nothing(
    models: list[Candidate], need_bytes: int
) -> None:
    found = plan(*models, need_bytes=need_bytes)
    may_go = {one.name: one for one in models if one.refetchable and not one.in_use and not one.reserved}
    assert set(dropped(found)) <= set(may_go)
    assert {*dropped(found), *(keep.name for keep in found.keeps)} == {one.name for one in models}
    if found.is_enough:
        assert found.freed_bytes >= need_bytes
        assert all(found.freed_bytes - drop.size_bytes < need_bytes for drop in found.drops)
    else:
        assert sum(one.size_bytes for one in may_go.values()) < need_bytes
        assert found.drops == ()
