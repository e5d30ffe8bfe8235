"""ModelMesh's choice of an instance: where a model is loaded that is nowhere, or not often enough, and which copy serves a request.

From kserve/modelmesh at ea13cdc (Apache-2.0), `ModelMesh.java`: `PLACEMENT_ORDER`, `CacheMissForwardingLB` (without types, zones and versions, which a
fleet of one kind has not), `ForwardingLB`, and the churn limit of `invokeModel`. Two places differ between the comments and the code of the
source: "half" the best instance's room is a quarter, and 1.5 times its count is 1.25, as the code has it. That it reads its own record where it
means another's is a slip with the effect that all others look alike; here each instance counts by its own facts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

#: The least recent use of an instance that has no model: later than any.
_EMPTY: Final = 2**63 - 1
_DAY_MS: Final = 86_400_000


class PlacementRule(msgspec.Struct, frozen=True, kw_only=True):
    """Constants of the source."""

    #: With less room than this an instance is full.
    least_room_bytes: int
    #: A full instance whose oldest model was used within this time takes no other.
    churn_ms: int = 600_000


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """A machine as this rule sees it."""

    id: str
    capacity_bytes: int
    used_bytes: int
    models: int
    #: When the model was used last that was not used longest; None: it has none.
    oldest_ms: int | None = None
    requests_per_min: int = 0
    loads: int = 0
    loads_at_once: int = 1
    leaves: bool = False

    @property
    def room_bytes(self) -> int:
        """What is left of its disk."""
        return max(0, self.capacity_bytes - self.used_bytes)

    def is_full(self, rule: PlacementRule) -> bool:
        """Whether a model more pushes another out."""
        return self.room_bytes < rule.least_room_bytes

    def oldest(self) -> int:
        """As a number."""
        return _EMPTY if self.oldest_ms is None else self.oldest_ms


class Serving(NamedTuple):
    """A copy that may serve a request."""

    instance: str
    in_use: int
    last_used_ms: int
    load_began_ms: int


def in_placement_order(instances: Sequence[Instance], rule: PlacementRule) -> list[Instance]:
    """Where a new model should go first: not full before full; of full ones that with the oldest model; then fewest models, most room."""

    def order(one: Instance) -> tuple[bool, bool, int, int, int, int, int, int, int, int, str]:
        full = one.is_full(rule)
        return (
            one.leaves,
            full,
            one.oldest() if full else 0,
            one.models,
            -one.room_bytes,
            0 if full else one.oldest(),
            -(one.loads_at_once - one.loads),
            one.loads,
            -one.capacity_bytes,
            one.requests_per_min,
            one.id,
        )

    return sorted(instances, key=order)


def shortlist(instances: Sequence[Instance], *, now_ms: int, rule: PlacementRule) -> list[Instance]:
    """The best, and those after it that are about as good: near in age where all are full, else near in room and number of models."""
    in_order = in_placement_order(instances, rule)
    if not in_order:
        return []
    best, found = in_order[0], in_order[:1]
    for one in in_order[1:]:
        if best.is_full(rule):
            later_ms = one.oldest() - best.oldest()
            if later_ms > 45_000 and later_ms > (now_ms - best.oldest()) // 10:
                break
        elif (
            one.is_full(rule)
            or one.room_bytes < best.room_bytes >> 2
            or (one.models >= 10 and one.models > best.models + (best.models >> 2))
        ):
            break
        found.append(one)
    return found


def not_too_busy(found: Sequence[Instance], *, used_ago_ms: int) -> list[Instance]:
    """Of a shortlist those that are not asked far more than the least busy, the stricter the later the model was used.

    `used_ago_ms` is negative where copies are added because of load.
    """
    if used_ago_ms >= 5 * _DAY_MS or len(found) < 2:
        return list(found)
    least = max(100, min(one.requests_per_min for one in found))
    steps = ((-1_000, int(1.1 * least)), (5_000, int(1.5 * least)), (720_000, 3 * least), (_DAY_MS, 4 * least))
    kept = [
        one
        for one in found
        if one.requests_per_min < 100
        or not any(used_ago_ms < within_ms and one.requests_per_min > most for within_ms, most in steps)
    ]
    return kept or list(found[:1])


def place(
    instances: Sequence[Instance], *, now_ms: int, used_ago_ms: int, drawn: float, rule: PlacementRule
) -> Instance | None:
    """The instance that shall load a model which none of `instances` has; `drawn` of [0, 1) chooses between those about as good.

    None: there is none, or the one that was chosen is full of models used within the churn limit, and refuses.
    """
    found = not_too_busy(shortlist(instances, now_ms=now_ms, rule=rule), used_ago_ms=used_ago_ms)
    if not found:
        return None
    chosen = found[min(int(drawn * len(found)), len(found) - 1)]
    return None if would_churn(chosen, now_ms=now_ms, rule=rule) else chosen


def would_churn(instance: Instance, *, now_ms: int, rule: PlacementRule) -> bool:
    """Whether the instance is full and its oldest model was used so lately that another load would only turn the cache over."""
    return instance.is_full(rule) and instance.oldest_ms is not None and now_ms - instance.oldest_ms < rule.churn_ms


def serving_copy(copies: Sequence[Serving], *, now_ms: int, loads_within_ms: int) -> Serving | None:
    """The copy that serves a request: of those that are loaded by now the least used, then that which was idle longest.

    Where all are still loading, the one whose load began first.
    """
    loaded = [one for one in copies if one.load_began_ms < now_ms - loads_within_ms]
    if loaded:
        return min(loaded, key=lambda one: (one.in_use, one.last_used_ms))
    return min(copies, key=lambda one: one.load_began_ms, default=None)
