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

Anchors = tuple[tuple[str, int], ...]

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


class Holders(msgspec.Struct, frozen=True):
    """Active machines that can serve a lane and hold all its anchors: anywhere, and in memory."""

    anywhere: int
    resident: int


def _holds(machine: MachineState, anchors: Anchors) -> bool:
    return all(name in machine.held for name, _ in anchors)


def _is_warm(machine: MachineState, anchors: Anchors) -> bool:
    return all(machine.held.get(name) == "resident" for name, _ in anchors)


def holders_of(machines: Iterable[MachineState], anchors: Anchors) -> Holders:
    """Count those among `machines`, which fit the lane."""
    holding = [machine for machine in machines if machine.active and _holds(machine, anchors)]
    return Holders(anywhere=len(holding), resident=sum(_is_warm(machine, anchors) for machine in holding))


def _judge(machine: MachineState, lane: LaneState, holders: Holders, rule: PatienceRule) -> int:
    return ready_after_ms(
        anchors=lane.anchors,
        held=machine.held,
        bytes_per_s=machine.download_bytes_per_s,
        unfinished=lane.unfinished,
        better=holders.resident if _holds(machine, lane.anchors) else holders.anywhere,
        rule=rule,
    )


def candidates(machine: MachineState, snapshot: CellSnapshot, rule: PatienceRule) -> list[Choice]:
    """At most 64 lanes that the machine may take: those where somebody waits, then those it can start soonest, then the fuller."""
    holders: dict[tuple[str, Anchors], Holders] = {}
    ranked: list[tuple[bool, int, int, str]] = []
    for lane in snapshot.lanes.values():
        if not snapshot.fits.get((machine.profile, lane.requirement_class), False):
            continue
        need = (lane.requirement_class, lane.anchors)
        if need not in holders:
            holders[need] = holders_of(_fitting(lane.requirement_class, snapshot), lane.anchors)
        ranked.append((not lane.waits, _judge(machine, lane, holders[need], rule), -lane.unfinished, lane.id))
    best = heapq.nsmallest(MAX_CANDIDATES, ranked)
    return [Choice(wait_ms, machine.used, lane_id) for _, wait_ms, _, lane_id in best]


def _fitting(class_id: str, snapshot: CellSnapshot) -> Iterable[MachineState]:
    return (m for m in snapshot.machines.values() if snapshot.fits.get((m.profile, class_id), False))


def ranking(
    lane: LaneState, wanted: RequirementClass, snapshot: CellSnapshot, rule: PatienceRule
) -> tuple[list[tuple[str, bool]], list[Choice]]:
    """For a lane that may be new: (profile, fits) of every profile, and at most 64 machines, best first."""
    fits = {profile_id: decide_fit(profile, wanted).fits for profile_id, profile in snapshot.profiles.items()}
    fitting = [machine for machine in snapshot.machines.values() if machine.active and fits.get(machine.profile, False)]
    holders = holders_of(fitting, lane.anchors)
    ranked = [
        ((not machine.parked, _judge(machine, lane, holders, rule), machine.used), machine.id) for machine in fitting
    ]
    best = heapq.nsmallest(MAX_CANDIDATES, ranked)
    return sorted(fits.items()), [Choice(wait_ms, used, machine_id) for (_, wait_ms, used), machine_id in best]
