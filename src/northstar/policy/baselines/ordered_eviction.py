"""Evictions that go by one order and nothing else: least recently used, and farthest next use (Belady)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

from northstar.policy.models.eviction import Candidate, Drop, EvictionPlan, Keep, why_kept

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

#: What goes first has the smallest.
_Order: TypeAlias = "Callable[[Candidate], tuple[float, float, str]]"


def plan_least_recent(candidates: Sequence[Candidate], *, need_bytes: int) -> EvictionPlan:
    """Drop what was used longest ago, one after the other until there is room; of equal ones the first by name.

    The rule of the predecessor's workers and of most caches of files: neither size nor the cost of a new fetch counts.
    """

    def facts(one: Candidate) -> str:
        return f"unused for {one.idle_s / 3_600:.3g} h"

    return _in_order(candidates, need_bytes, lambda one: (-one.idle_s, 0.0, one.name), facts)


def plan_farthest(candidates: Sequence[Candidate], *, need_bytes: int, next_use: Mapping[str, float]) -> EvictionPlan:
    """Drop what is used again last, by the future that `next_use` tells (name -> when, in any unit); what it does not name never is.

    Belady, "A study of replacement algorithms for a virtual-storage computer" (IBM Systems Journal 5, 1966). Optimal where all models
    are of one size; with other sizes the greedy version, which `caching_bound` bounds. Of equal ones the larger goes first.
    """

    def facts(one: Candidate) -> str:
        return f"next used at {next_use[one.name]:g}" if one.name in next_use else "never used again"

    return _in_order(
        candidates,
        need_bytes,
        lambda one: (-next_use.get(one.name, math.inf), -one.size_bytes, one.name),
        facts,
    )


def _in_order(
    candidates: Sequence[Candidate], need_bytes: int, order: _Order, facts: Callable[[Candidate], str]
) -> EvictionPlan:
    keeps = [Keep(one.name, reason) for one in candidates if (reason := why_kept(one))]
    free = sorted((one for one in candidates if not why_kept(one)), key=order)
    if sum(one.size_bytes for one in free) < need_bytes:
        keeps += [Keep(one.name, "dropping everything that may go would not be enough") for one in free]
        return EvictionPlan(drops=(), keeps=tuple(keeps), is_enough=False)
    drops: list[Drop] = []
    freed = 0
    for one in free:
        if freed >= need_bytes:
            keeps.append(Keep(one.name, f"others go first ({facts(one)})"))
        else:
            drops.append(Drop(one.name, one.size_bytes, facts(one)))
            freed += one.size_bytes
    return EvictionPlan(drops=tuple(drops), keeps=tuple(keeps), is_enough=True)
