"""Which models to drop for room: first those whose absence will cost the least for each byte that they free.

The worth of a byte is how often its model will be wanted, by its last use, times the seconds to get it back, over its size: the rule
of GreedyDual-Size (Cao and Irani, 1997).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a model that might go."""

    name: str
    size_bytes: int
    #: Seconds to fetch it again.
    fetch_s: float
    #: Seconds since it was last used, or came.
    idle_s: float
    in_use: bool = False
    reserved: bool = False
    #: Whether it can be had again; what cannot is kept.
    refetchable: bool = True


class EvictionRule(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of the rule."""

    #: A model that was used just now counts as wanted once in so many seconds, and ever more seldom.
    fresh_s: float = 3_600.0


class Drop(msgspec.Struct, frozen=True):
    """A model that goes, and why it and not another."""

    name: str
    size_bytes: int
    reason: str


class Keep(msgspec.Struct, frozen=True):
    """A model that stays, and why."""

    name: str
    reason: str


class EvictionPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What to drop, in this order. Where everything together would not be enough, nothing is dropped in vain."""

    drops: tuple[Drop, ...]
    keeps: tuple[Keep, ...]
    is_enough: bool

    @property
    def freed_bytes(self) -> int:
        """Bytes that the plan frees."""
        return sum(drop.size_bytes for drop in self.drops)


def plan_eviction(candidates: Sequence[Candidate], *, need_bytes: int, rule: EvictionRule) -> EvictionPlan:
    """Choose what to drop so that at least `need_bytes` become free."""
    keeps = [Keep(one.name, reason) for one in candidates if (reason := why_kept(one))]
    free = sorted((one for one in candidates if not why_kept(one)), key=lambda one: (worth(one, rule), one.name))
    chosen: list[Candidate] = []
    freed = 0
    for one in free:
        if freed >= need_bytes:
            break
        chosen.append(one)
        freed += one.size_bytes
    if freed < need_bytes:
        keeps += [Keep(one.name, "dropping everything that may go would not be enough") for one in free]
        return EvictionPlan(drops=(), keeps=tuple(keeps), is_enough=False)
    chosen = _without_needless(chosen, surplus=freed - need_bytes)
    going = {id(one) for one in chosen}
    keeps += [Keep(one.name, f"others are worth less ({_facts(one)})") for one in free if id(one) not in going]
    drops = tuple(Drop(one.name, one.size_bytes, _facts(one)) for one in chosen)
    return EvictionPlan(drops=drops, keeps=tuple(keeps), is_enough=True)


def worth(one: Candidate, rule: EvictionRule) -> float:
    """Seconds of waiting that are expected in an hour without this model, for each gigabyte that it takes."""
    uses_per_h = 3_600.0 / (rule.fresh_s + max(0.0, one.idle_s))
    return uses_per_h * one.fetch_s / max(1, one.size_bytes) * 1e9


def why_kept(one: Candidate) -> str:
    """Why a model may not go, whatever the rule; empty where it may."""
    if one.in_use:
        return "in use"
    if one.reserved:
        return "reserved"
    if not one.refetchable:
        return "found here, and nobody knows where to fetch it again"
    return "" if one.size_bytes > 0 else "it would free nothing"


def _without_needless(chosen: list[Candidate], *, surplus: int) -> list[Candidate]:
    """Spare, from the most valuable down, what the room made by the others does without."""
    kept: list[Candidate] = []
    for one in reversed(chosen):
        if one.size_bytes <= surplus:
            surplus -= one.size_bytes
        else:
            kept.append(one)
    return kept[::-1]


def _facts(one: Candidate) -> str:
    size = f"{one.size_bytes / 1e9:.3g} GB"
    return f"unused for {one.idle_s / 3_600:.3g} h, {size}, {one.fetch_s:.3g} s to fetch again"
