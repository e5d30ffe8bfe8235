"""What the lanes of a cell ask for, and who has it: machines are counted once for each class and set of anchors.

What was counted stays counted as long as nothing of those machines changes, from plan to plan.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from northstar.policy.routing.bit_sets import Amounts, Bits, amounts
from northstar.policy.routing.holders import Holders, holders_among
from northstar.policy.routing.ready_after import Better, First
from northstar.policy.routing.seen_lanes import KnownNeed, LaneNeed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from northstar.policy.routing.alike import AlikeMachines
    from northstar.policy.routing.candidates import Anchors
    from northstar.policy.routing.gpu_pace import GpuPaces
    from northstar.policy.routing.seen_lanes import NeedKey
    from northstar.policy.routing.snapshot import LaneState


def lane_needs(
    lanes: Iterable[LaneState],
    machines: AlikeMachines,
    fits: Mapping[tuple[str, str], bool],
    *,
    now_ms: int,
    paces: GpuPaces,
) -> list[LaneNeed]:
    """The need of each lane, in their order. Machines of a group are counted together: it has one bit.

    A need that is as it was at the last plan is the same object. `machines` have seen the fleet, and rank by `paces`.
    """
    counts = _Counts(machines, paces, now_ms)
    serving: dict[str, Bits] = {}
    before = machines.needs
    known: dict[NeedKey, KnownNeed] = {}
    found: list[LaneNeed] = []
    for lane in lanes:
        key = (lane.requirement_class, lane.anchors)
        one = known.get(key)
        if one is None:
            if lane.requirement_class not in serving:
                serving[lane.requirement_class] = _fitting(lane.requirement_class, machines, fits)
            one = known[key] = counts.need(lane.anchors, serving[lane.requirement_class], before.get(key))
        found.append(one.need)
    machines.needs = known
    return found


class _Counts:
    """Of one look at the fleet; machines are added up when the first need asks for it."""

    def __init__(self, machines: AlikeMachines, paces: GpuPaces, now_ms: int) -> None:
        self._machines = machines
        self._examples = [group.example for group in machines.numbered]
        self._by_pace = _bits_by_pace(machines.bits.gpus, paces)
        self._now_ms = now_ms
        self._amounts: tuple[Amounts, Amounts, Amounts] | None = None

    def need(self, anchors: Anchors, fitting: Bits, before: KnownNeed | None) -> KnownNeed:
        bits, moved = self._machines.bits, self._machines.moved
        sets = (
            _all(fitting, anchors, bits.resident),
            _all(fitting, anchors, bits.anywhere),
            _all(fitting, anchors, bits.soon),
        )
        is_same = before is not None and before.sets == sets and not before.is_timed
        if before is not None and is_same and not sets[2] & moved:
            return before
        if before is not None and is_same and not sets[2] & self._machines.renewed:
            holders = self._counted_again(before.need.holders, sets)
        else:
            holders = holders_among(
                self._better, self._examples, anchors, sets=sets, by_pace=self._by_pace, now_ms=self._now_ms
            )
        need = LaneNeed(anchors, sum(size_bytes for _, size_bytes in anchors), holders)
        if before is not None and before.need == need:
            need = before.need
        # Only what is still on its way to somebody moves with the time.
        return KnownNeed(need, sets, is_timed=sets[1] != sets[2])

    def _counted_again(self, before: Holders, sets: tuple[Bits, Bits, Bits]) -> Holders:
        """The same machines, which are as soon as they were: only how busy they are has changed."""
        resident, anywhere, soon = sets
        return Holders(
            resident=self._better(resident, before.resident.firsts),
            anywhere=self._better(anywhere, before.anywhere.firsts),
            soon=self._better(soon, before.soon.firsts),
        )

    def _better(self, bits: Bits, firsts: tuple[First, ...]) -> Better:
        if self._amounts is None:
            groups = self._machines.numbered
            self._amounts = (
                amounts([len(group.ids) for group in groups]),
                amounts([group.slots for group in groups]),
                amounts([group.used for group in groups]),
            )
        machines, slots, used = self._amounts
        return Better(machines.over(bits), slots.over(bits), used.over(bits), firsts)


def _all(fitting: Bits, anchors: Anchors, having: dict[str, Bits]) -> Bits:
    """Those that fit and have all anchors."""
    for name, _ in anchors:
        fitting &= having.get(name, 0)
    return fitting


def _bits_by_pace(gpus: Mapping[str, Bits], paces: GpuPaces) -> list[tuple[float, Bits]]:
    """The machines by the pace of their GPUs, the fastest first; nothing where no pace is known."""
    found: dict[float, Bits] = {}
    for gpu_class, bits in gpus.items() if paces.factors else ():
        pace = paces.of(gpu_class)
        found[pace] = found.get(pace, 0) | bits
    return sorted(found.items())


def _fitting(class_id: str, machines: AlikeMachines, fits: Mapping[tuple[str, str], bool]) -> Bits:
    """The machines that fit a class."""
    found = 0
    for profile_id, bits in machines.bits.profiles.items():
        if fits.get((profile_id, class_id)):
            found |= bits
    return found
