"""Which lanes a machine may take, and which machines a lane should go to: the same judgement seen from both sides."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import msgspec

from northstar.policy.routing.fit import decide_fit
from northstar.policy.routing.ready_after import PatienceRule, ready_after_ms

if TYPE_CHECKING:
    from collections.abc import Iterable

    from northstar.domain.requirements import RequirementClass
    from northstar.policy.routing.snapshot import CellSnapshot, LaneState, MachineState

#: Lanes per machine and machines per lane; as the function library bounds them.
MAX_CANDIDATES = 64


class Choice(msgspec.Struct, frozen=True, order=True):
    """One side's view of the other: `subject` may follow after `ready_after_ms`; lower preference first."""

    ready_after_ms: int
    preference: int
    subject: str


def undecided_fits(snapshot: CellSnapshot) -> Iterable[tuple[str, str, bool]]:
    """(profile, class, fits) for every pair that nobody has decided yet."""
    for profile_id, profile in snapshot.profiles.items():
        for class_id, wanted in snapshot.classes.items():
            if (profile_id, class_id) not in snapshot.fits:
                yield profile_id, class_id, decide_fit(profile, wanted).fits


def _holds(machine: MachineState, anchors: tuple[tuple[str, int], ...]) -> bool:
    return all(name in machine.held for name, _ in anchors)


def holders_of(snapshot: CellSnapshot, anchors: tuple[tuple[str, int], ...]) -> int:
    """Active machines that hold all anchors."""
    return sum(machine.active and _holds(machine, anchors) for machine in snapshot.machines.values())


def _judge(machine: MachineState, lane: LaneState, holders: int, rule: PatienceRule) -> int:
    return ready_after_ms(
        anchors=lane.anchors,
        held=machine.held,
        bytes_per_s=machine.download_bytes_per_s,
        unfinished=lane.unfinished,
        holders=holders,
        rule=rule,
    )


def candidates(machine: MachineState, snapshot: CellSnapshot, rule: PatienceRule) -> list[Choice]:
    """At most 64 lanes that the machine may take; those it can start soonest, and among equals the fuller ones."""
    fitting = [
        lane for lane in snapshot.lanes.values() if snapshot.fits.get((machine.profile, lane.requirement_class), False)
    ]
    holders: dict[tuple[tuple[str, int], ...], int] = {}
    ranked: list[tuple[int, int, str]] = []
    for lane in fitting:
        if lane.anchors not in holders:
            holders[lane.anchors] = holders_of(snapshot, lane.anchors)
        ranked.append((_judge(machine, lane, holders[lane.anchors], rule), -lane.unfinished, lane.id))
    best = heapq.nsmallest(MAX_CANDIDATES, ranked)
    return [Choice(wait_ms, machine.used, lane_id) for wait_ms, _, lane_id in best]


def ranking(
    lane: LaneState, wanted: RequirementClass, snapshot: CellSnapshot, rule: PatienceRule
) -> tuple[list[tuple[str, bool]], list[Choice]]:
    """For a lane that may be new: (profile, fits) of every profile, and at most 64 machines, best first."""
    fits = {profile_id: decide_fit(profile, wanted).fits for profile_id, profile in snapshot.profiles.items()}
    holders = holders_of(snapshot, lane.anchors)
    ranked = [
        ((not machine.parked, _judge(machine, lane, holders, rule), machine.used), machine.id)
        for machine in snapshot.machines.values()
        if machine.active and fits.get(machine.profile, False)
    ]
    best = heapq.nsmallest(MAX_CANDIDATES, ranked)
    return sorted(fits.items()), [Choice(wait_ms, used, machine_id) for (_, wait_ms, used), machine_id in best]
