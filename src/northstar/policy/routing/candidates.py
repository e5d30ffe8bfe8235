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
#: So many places belong to the lanes whose first job comes first in the cell, however long this machine must leave them to others.
#: The claim chooses by order among candidates only, so what is urgent, or a tenant's fair turn, must always be among them.
HEAD_PLACES = 32


class Choice(msgspec.Struct, frozen=True, order=True):
    """One side's view of the other: `subject` may follow after `ready_after_ms`; lower preference first."""

    ready_after_ms: int
    preference: int
    subject: str


def undecided_fits(snapshot: CellSnapshot) -> Iterable[tuple[str, str, bool]]:
    """(profile, class, fits) for every pair that nobody has decided yet and that can be decided for good."""
    for profile_id, profile in snapshot.profiles.items():
        for class_id, wanted in snapshot.classes.items():
            if (profile_id, class_id) not in snapshot.fits:
                decision = decide_fit(profile, wanted, snapshot.node_sets)
                if decision.is_final:
                    yield profile_id, class_id, decision.fits


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


def wait_ms_of(machine: MachineState, lane: LaneState, holders: Holders, rule: PatienceRule) -> int:
    """Milliseconds that the lane's oldest job must have waited before the machine may take it."""
    return ready_after_ms(
        anchors=lane.anchors,
        held=machine.held,
        bytes_per_s=machine.download_bytes_per_s,
        unfinished=lane.unfinished,
        better=holders.resident if _holds(machine, lane.anchors) else holders.anywhere,
        rule=rule,
    )


def wait_class(ready_after_ms: int) -> int:
    """Waits that rank alike: 0 for none, 1 below a second, and one more for each doubling.

    >>> [wait_class(ms) for ms in (0, 1, 999, 1_000, 2_500, 30_000)]
    [0, 1, 1, 2, 3, 6]
    """
    return 1 + (ready_after_ms // 1_000).bit_length() if ready_after_ms else 0


def candidates(machine: MachineState, snapshot: CellSnapshot, rule: PatienceRule) -> list[Choice]:
    """At most 64 lanes that the machine may take, best first.

    Lanes where somebody waits come before the others, those it can start soonest before later ones, and among these the first
    head in order; where nobody waits, the fuller. Half the places go to the first heads in order before that. For a whole cell
    `plan.plan_candidates` gives the same at a fraction of the work.
    """
    holders: dict[tuple[str, Anchors], Holders] = {}
    lanes = [lane for lane in snapshot.lanes.values() if snapshot.fits.get((machine.profile, lane.requirement_class))]
    waits_ms: dict[str, int] = {}
    for lane in lanes:
        need = (lane.requirement_class, lane.anchors)
        if need not in holders:
            holders[need] = holders_of(_fitting(lane.requirement_class, snapshot), lane.anchors)
        waits_ms[lane.id] = wait_ms_of(machine, lane, holders[need], rule)

    def rank(lane: LaneState) -> tuple[bool, int, tuple[bool, str, int, str]]:
        return (not lane.waits, wait_class(waits_ms[lane.id]), lane_order(lane))

    heads = heapq.nsmallest(HEAD_PLACES, (lane for lane in lanes if lane.waits), key=lane_order)
    kept = {lane.id for lane in heads}
    others = (lane for lane in lanes if lane.id not in kept)
    best = sorted([*heads, *heapq.nsmallest(MAX_CANDIDATES - len(heads), others, key=rank)], key=rank)
    return [Choice(waits_ms[lane.id], machine.used, lane.id) for lane in best]


def lane_order(lane: LaneState) -> tuple[bool, str, int, str]:
    """The order of lanes as every machine sees it: first heads first, then the fuller of those where nobody waits."""
    return (not lane.waits, lane.head if lane.waits else "", -lane.unfinished, lane.id)


def _fitting(class_id: str, snapshot: CellSnapshot) -> Iterable[MachineState]:
    return (m for m in snapshot.machines.values() if snapshot.fits.get((m.profile, class_id), False))


def ranking(
    lane: LaneState, wanted: RequirementClass, snapshot: CellSnapshot, rule: PatienceRule
) -> tuple[list[tuple[str, bool]], list[Choice]]:
    """For a lane that may be new: (profile, fits) of every profile, and at most 64 machines, best first."""
    decisions = {name: decide_fit(profile, wanted, snapshot.node_sets) for name, profile in snapshot.profiles.items()}
    fits = {name: decision.fits for name, decision in decisions.items() if decision.is_final}
    fitting = [machine for machine in snapshot.machines.values() if machine.active and fits.get(machine.profile, False)]
    holders = holders_of(fitting, lane.anchors)
    ranked = [
        ((not machine.parked, wait_ms_of(machine, lane, holders, rule), machine.used), machine.id)
        for machine in fitting
    ]
    best = heapq.nsmallest(MAX_CANDIDATES, ranked)
    return sorted(fits.items()), [Choice(wait_ms, used, machine_id) for (_, wait_ms, used), machine_id in best]
