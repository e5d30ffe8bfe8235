"""What the lanes of a cell ask for, and who has it: machines are counted once for each class and set of anchors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from northstar.policy.routing.bit_sets import Bits, amounts, bits_by_name, bits_of
from northstar.policy.routing.gpu_pace import NO_PACES
from northstar.policy.routing.holders import Holders, holders_among
from northstar.policy.routing.ready_after import Better, First

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from northstar.policy.routing.alike import Alike
    from northstar.policy.routing.candidates import Anchors
    from northstar.policy.routing.gpu_pace import GpuPaces
    from northstar.policy.routing.snapshot import LaneState, MachineState


class LaneNeed(msgspec.Struct, frozen=True, gc=False):
    """What lanes of one class and one set of anchors ask for, and who has it."""

    anchors: Anchors
    bytes: int
    holders: Holders


def lane_needs(
    lanes: Iterable[LaneState],
    groups: Iterable[Alike],
    fits: Mapping[tuple[str, str], bool],
    *,
    now_ms: int,
    paces: GpuPaces = NO_PACES,
) -> list[LaneNeed]:
    """The need of each lane, in their order. Machines of a group are counted together: it has one bit."""
    active = [group for group in groups if group.example.takes_work]
    machines = amounts([len(group.ids) for group in active])
    slots = amounts([group.slots for group in active])
    used = amounts([group.used for group in active])

    examples = [group.example for group in active]
    by_pace = _bits_by_pace(examples, paces)

    def better(bits: Bits, firsts: tuple[First, ...]) -> Better:
        return Better(machines.over(bits), slots.over(bits), used.over(bits), firsts)

    having, serving = _bits_by_model(examples), _bits_by_class(examples, fits)
    known: dict[tuple[str, Anchors], LaneNeed] = {}
    found: list[LaneNeed] = []
    for lane in lanes:
        key = (lane.requirement_class, lane.anchors)
        if key not in known:
            fitting = serving.get(lane.requirement_class, 0)
            sets = (
                _all(fitting, lane.anchors, having[0]),
                _all(fitting, lane.anchors, having[1]),
                _all(fitting, lane.anchors, having[2]),
            )
            holders = holders_among(better, examples, lane.anchors, sets=sets, by_pace=by_pace, now_ms=now_ms)
            known[key] = LaneNeed(lane.anchors, sum(size_bytes for _, size_bytes in lane.anchors), holders)
        found.append(known[key])
    return found


def _all(fitting: Bits, anchors: Anchors, having: dict[str, Bits]) -> Bits:
    """Those that fit and have all anchors."""
    for name, _ in anchors:
        fitting &= having.get(name, 0)
    return fitting


def _bits_by_model(machines: Iterable[MachineState]) -> tuple[dict[str, Bits], dict[str, Bits], dict[str, Bits]]:
    """Model -> the machines that have it in memory, those that have it at all, and those that have it soon."""
    resident: dict[str, list[int]] = {}
    anywhere: dict[str, list[int]] = {}
    soon: dict[str, list[int]] = {}
    for number, machine in enumerate(machines):
        for name, state in machine.held.items():
            anywhere.setdefault(name, []).append(number)
            soon.setdefault(name, []).append(number)
            if state == "resident":
                resident.setdefault(name, []).append(number)
        for name in machine.fetching.keys() - machine.held.keys():
            soon.setdefault(name, []).append(number)
    return bits_by_name(resident), bits_by_name(anywhere), bits_by_name(soon)


def _bits_by_pace(machines: Iterable[MachineState], paces: GpuPaces) -> list[tuple[float, Bits]]:
    """The machines by the pace of their GPUs, the fastest first; nothing where no pace is known."""
    found: dict[float, list[int]] = {}
    for number, machine in enumerate(machines if paces.factors else ()):
        found.setdefault(paces.of(machine.gpu_class), []).append(number)
    return [(pace, bits_of(found[pace])) for pace in sorted(found)]


def _bits_by_class(machines: Iterable[MachineState], fits: Mapping[tuple[str, str], bool]) -> dict[str, int]:
    """Class -> the machines that fit it."""
    by_profile: dict[str, int] = {}
    for number, machine in enumerate(machines):
        by_profile[machine.profile] = by_profile.get(machine.profile, 0) | 1 << number
    serving: dict[str, int] = {}
    for (profile_id, class_id), fit in fits.items():
        if fit and profile_id in by_profile:
            serving[class_id] = serving.get(class_id, 0) | by_profile[profile_id]
    return serving
