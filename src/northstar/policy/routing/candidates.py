"""Which lanes a machine may take, and which machines a lane should go to: the same judgement seen from both sides."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import msgspec

from northstar.policy.routing.fetch_turn import turn_for
from northstar.policy.routing.fit import decide_fit
from northstar.policy.routing.fleet_index import FleetIndex
from northstar.policy.routing.gpu_pace import NO_PACES
from northstar.policy.routing.holders import Holders, fetch_left_ms
from northstar.policy.routing.machine_choice import JobNeed
from northstar.policy.routing.model_supply import is_left_to_engine, may_have
from northstar.policy.routing.own_work import OwnWork
from northstar.policy.routing.preference import preference_of
from northstar.policy.routing.ranking_terms import NO_TERMS
from northstar.policy.routing.ready_after import (
    Better,
    First,
    PatienceRule,
    firsts_of,
    lacking_of,
    load_ms,
    patience_ms,
)
from northstar.policy.routing.start import Start

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from northstar.domain.requirements import RequirementClass
    from northstar.policy.routing.gpu_pace import GpuPaces
    from northstar.policy.routing.ranking_terms import RankingTerms
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


def _holds(machine: MachineState, anchors: Anchors) -> bool:
    return all(name in machine.held for name, _ in anchors)


def _is_warm(machine: MachineState, anchors: Anchors) -> bool:
    return all(machine.held.get(name) == "resident" for name, _ in anchors)


def holders_of(
    machines: Iterable[MachineState], anchors: Anchors, *, now_ms: int, paces: GpuPaces = NO_PACES
) -> Holders:
    """Count those among `machines`, which fit the lane."""
    working = [machine for machine in machines if machine.takes_work]
    soon = [one for one in working if all(name in one.held or name in one.fetching for name, _ in anchors)]
    holding = [one for one in soon if _holds(one, anchors)]
    warm = [one for one in holding if _is_warm(one, anchors)]
    loading_ms = load_ms(sum(size_bytes for _, size_bytes in anchors))

    def better(machines: Collection[MachineState]) -> Better:
        slots = [(machine.slots, min(machine.used, machine.slots)) for machine in machines]
        firsts = firsts_of(
            First(
                paces.of(one.gpu_class),
                0.0 if _holds(one, anchors) else fetch_left_ms(one, anchors, now_ms),
                0.0 if _is_warm(one, anchors) else loading_ms,
            )
            for one in machines
        )
        return Better(len(slots), sum(all_ for all_, _ in slots), sum(used for _, used in slots), firsts)

    return Holders(resident=better(warm), anywhere=better(holding), soon=better(soon))


def better_than(machine: MachineState, anchors: Anchors, holders: Holders, *, service: str) -> Better:
    """The machines that lack less than this one, which does not have all in memory. What its engine may have itself it does not lack."""
    absent = [name for name, _ in anchors if name not in machine.held]
    if absent and may_have(machine, service):
        absent = [name for name in absent if name in machine.fetching]
    if not absent:
        return holders.resident
    # To one to which all that it lacks is on its way, only those are better that have it.
    return holders.anywhere if all(name in machine.fetching for name in absent) else holders.soon


def start_of(
    machine: MachineState,
    lane: LaneState,
    holders: Holders,
    rule: PatienceRule,
    *,
    service: str,
    now_ms: int,
    pace: float = 1.0,
    fastest: float = 1.0,
) -> Start:
    """What the machine lacks of the lane's models, and how long the lane's oldest job must therefore have waited before it may take it.

    `service` is the lane's. `pace` is that of its GPU, `fastest` that of the fastest GPU of the fleet.
    """
    lag_ms = 1_000 * lane.run_s * (pace - fastest)
    if _is_warm(machine, lane.anchors):
        return Start(lag_ms, 0)
    lacking = lacking_of(
        lane.anchors,
        held=machine.held,
        fetching=machine.fetching,
        now_ms=now_ms,
        may_have=may_have(machine, service),
    )
    better = better_than(machine, lane.anchors, holders, service=service)
    wait_ms = patience_ms(
        lacking.patience_cost_ms(machine.download_bytes_per_s),
        waiting=lane.waiting,
        better=better,
        run_s=lane.run_s,
        rule=rule,
        pace=pace,
        loads_ms=load_ms(lacking.unloaded),
    )
    return Start(lacking.start_ms(machine.download_bytes_per_s) + lag_ms, wait_ms)


def wait_class(ready_after_ms: int) -> int:
    """Waits that rank alike: 0 for none, 1 below a second, and one more for each doubling.

    >>> [wait_class(ms) for ms in (0, 1, 999, 1_000, 2_500, 30_000)]
    [0, 1, 1, 2, 3, 6]
    """
    return 1 + (ready_after_ms // 1_000).bit_length() if ready_after_ms else 0


def fastest_pace(snapshot: CellSnapshot, paces: GpuPaces) -> float:
    """Of the GPUs of machines that take work."""
    if not paces.factors:
        return 1.0
    return paces.fastest({one.gpu_class for one in snapshot.machines.values() if one.takes_work})


def candidates(
    machine: MachineState, snapshot: CellSnapshot, rule: PatienceRule, terms: RankingTerms = NO_TERMS
) -> list[Choice]:
    """At most 64 lanes that the machine may take, best first.

    Lanes where somebody waits come before the others, those it can start soonest before later ones, and among these the first
    head in order; where nobody waits, the fuller. Half the places go to the first heads in order before that. Those of the chosen that
    it would have to fetch for stand back behind work of its own (`own_work`). For a whole cell
    `plan.plan_candidates` gives the same at a fraction of the work.
    """
    holders: dict[tuple[str, Anchors], Holders] = {}
    lanes = [lane for lane in snapshot.lanes.values() if snapshot.fits.get((machine.profile, lane.requirement_class))]
    starts: dict[str, Start] = {}
    pace, fastest = terms.paces.of(machine.gpu_class), fastest_pace(snapshot, terms.paces)
    far = terms.near_lanes(snapshot) if machine.profile in terms.far_profiles(snapshot) else frozenset[str]()
    for lane in lanes:
        need = (lane.requirement_class, lane.anchors)
        if need not in holders:
            fitting = _fitting(lane.requirement_class, snapshot)
            holders[need] = holders_of(fitting, lane.anchors, now_ms=snapshot.now_ms, paces=terms.paces)
        starts[lane.id] = start_of(
            machine,
            lane,
            holders[need],
            rule,
            service=service_of(lane, snapshot),
            now_ms=snapshot.now_ms,
            pace=pace,
            fastest=fastest,
        )

    def rank(lane: LaneState) -> tuple[bool, int, tuple[bool, str, int, str]]:
        return (not lane.waits, wait_class(starts[lane.id].wait_ms), lane_order(lane))

    heads = heapq.nsmallest(HEAD_PLACES, (lane for lane in lanes if lane.waits), key=lane_order)
    kept = {lane.id for lane in heads}
    others = (lane for lane in lanes if lane.id not in kept)
    chosen = [*heads, *heapq.nsmallest(MAX_CANDIDATES - len(heads), others, key=rank)]
    own = OwnWork(machine, ((lane, starts[lane.id].wait_ms) for lane in chosen), snapshot)
    starts |= {lane.id: own.held_back(starts[lane.id], lane, rule) for lane in chosen}
    best = sorted(chosen, key=rank)
    return [
        Choice(
            starts[lane.id].wait_ms,
            preference_of(
                machine,
                starts[lane.id].cost_ms,
                pace=pace,
                is_far=lane.id in far,
                left_to_engine=is_left_to_engine(machine, lane.anchors),
                turn=turn_for(machine, lane.anchors),
            ),
            lane.id,
        )
        for lane in best
    ]


def lane_order(lane: LaneState) -> tuple[bool, str, int, str]:
    """The order of lanes as every machine sees it: first heads first, then the fuller of those where nobody waits."""
    return (not lane.waits, lane.head if lane.waits else "", -lane.unfinished, lane.id)


def service_of(lane: LaneState, snapshot: CellSnapshot) -> str:
    """What its jobs ask for; empty where this version cannot read it."""
    wanted = snapshot.classes.get(lane.requirement_class)
    return "" if wanted is None else wanted.service


def _fitting(class_id: str, snapshot: CellSnapshot) -> Iterable[MachineState]:
    return (m for m in snapshot.machines.values() if snapshot.fits.get((m.profile, class_id), False))


def ranking(
    lane: LaneState,
    wanted: RequirementClass,
    snapshot: CellSnapshot,
    rule: PatienceRule,
    *,
    index: FleetIndex | None = None,
    terms: RankingTerms = NO_TERMS,
    paces: GpuPaces | None = None,
) -> tuple[list[tuple[str, bool]], list[Choice]]:
    """For a lane that may be new: (profile, fits) of every profile, and at most 64 machines, those first that have its jobs done first.

    `index` is one of this snapshot, for callers that rank more than one lane. `paces` are those of the lane's own work, where more is
    known of it than of GPUs in general (`terms`).
    """
    index = index or FleetIndex(snapshot, paces=terms.paces)
    decisions = ((name, decide_fit(profile, wanted, snapshot.node_sets)) for name, profile in snapshot.profiles.items())
    fits = sorted((name, decision.fits) for name, decision in decisions if decision.is_final)
    own = terms.paces if paces is None else paces
    # By class and not by machine: a fleet of thousands has a handful of classes.
    by_class = {name: own.of(name) for name in index.gpu_classes} if own.factors else {}
    run_s = {name: lane.run_s * pace for name, pace in by_class.items()}
    job = JobNeed(wanted=wanted, models=lane.anchors, run_s=run_s, run_elsewhere_s=lane.run_s)
    holders, fastest = index.holders(job), min(by_class.values(), default=1.0)
    far = terms.far_profiles(snapshot) if wanted.pool in terms.near else frozenset[str]()
    choices = []
    for found in index.ranked(job, MAX_CANDIDATES, far=far):
        machine = snapshot.machines[found.machine]
        pace = by_class.get(machine.gpu_class, 1.0)
        start = start_of(
            machine, lane, holders, rule, service=wanted.service, now_ms=snapshot.now_ms, pace=pace, fastest=fastest
        )
        start = index.waiting.own_work_of(machine).held_back(start, lane, rule)
        preference = preference_of(
            machine,
            start.cost_ms,
            pace=index.paces.of(machine.gpu_class),
            is_far=machine.profile in far,
            left_to_engine=found.left_to_engine,
            turn=turn_for(machine, lane.anchors),
        )
        choices.append(Choice(start.wait_ms, preference, machine.id))
    return fits, choices
