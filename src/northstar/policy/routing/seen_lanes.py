"""A lane as a plan saw it: what it asks for, who has that, and what follows for a machine that has none of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import msgspec

from northstar.policy.routing.holders import Holders
from northstar.policy.routing.ready_after import First, load_ms, queue_s
from northstar.policy.routing.snapshot import LaneState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from northstar.policy.routing.bit_sets import Bits
    from northstar.policy.routing.candidates import Anchors

#: Class and anchors.
NeedKey: TypeAlias = "tuple[str, Anchors]"


class LaneNeed(msgspec.Struct, frozen=True, gc=False):
    """What lanes of one class and one set of anchors ask for, and who has it."""

    anchors: Anchors
    bytes: int
    holders: Holders


class KnownNeed(NamedTuple):
    """A need, the sets of groups that were counted for it, and whether the time at which they were counted is in it."""

    need: LaneNeed
    sets: tuple[Bits, Bits, Bits]
    is_timed: bool


class Asked(NamedTuple):
    """What a machine that holds none of a lane's models must know of the lane.

    Bytes, ms to load them, ms of a run, ms that the holders are busy (always, where there are none), ms until one is free
    that has the models, and those of them that could begin first.
    """

    bytes: int
    load_ms: float
    run_ms: float
    queue_ms: float
    until_free_ms: float
    firsts: tuple[First, ...]


class SeenLane(msgspec.Struct, frozen=True):
    """A lane as a plan saw it. As long as lane and need are the same, so is this; and `asked` as long as it says the same."""

    lane: LaneState
    need: LaneNeed
    asked: Asked


def see_lanes(lanes: Iterable[tuple[LaneState, LaneNeed]], before: Mapping[str, SeenLane]) -> dict[str, SeenLane]:
    """Lanes with their needs, in their order, by their ids; `before` are those of the last plan, of which is kept what says the same."""
    now: dict[str, SeenLane] = {}
    for lane, need in lanes:
        seen = before.get(lane.id)
        if seen is None:
            seen = SeenLane(lane, need, _asked(lane, need))
        elif seen.lane is not lane or seen.need is not need:
            asked = _asked(lane, need)
            seen = SeenLane(lane, need, seen.asked if asked == seen.asked else asked)
        now[lane.id] = seen
    return now


def _asked(lane: LaneState, need: LaneNeed) -> Asked:
    better = need.holders.soon
    queue_ms = 1_000 * queue_s(lane.waiting, better, run_s=lane.run_s) if better.slots else math.inf
    return Asked(
        need.bytes,
        load_ms(need.bytes),
        1_000 * lane.run_s,
        queue_ms,
        queue_ms + better.left_ms,
        better.firsts,
    )
