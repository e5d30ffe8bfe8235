"""In about how many seconds a waiting job is taken by a machine, and why that cannot be said where it cannot.

Whitt, "Predicting Queueing Delays" (Management Science 45, 1999): who finds all `s` servers busy and `a` others before it waits
for `a + 1` departures, which come `s` in a mean service time, so (a + 1) · E[S] / s. What is approximated: E[S] is the mean of
what ran lately, not the times of the very jobs ahead; those in service count as if they had just begun, so the answer errs
towards too long; jobs of other lanes that come before and fit the same machines count in full, though some of them may go to
machines that this job cannot take; free slots are counted without the VRAM that other jobs on the machine hold. It says
nothing of jobs that go first for other reasons: those that come later with a higher priority or in their tenant's turn, and
those that are overdue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from northstar.domain.reasons import MOST_NAMED
from northstar.domain.requirements import UNIFORM
from northstar.policy.routing.candidates import holders_of, start_of
from northstar.policy.routing.explain_fit import lacks_of, nearness
from northstar.policy.routing.fit import decide_fit
from northstar.policy.routing.gpu_pace import NO_PACES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from northstar.domain.machines import MachineProfile
    from northstar.domain.reasons import Lack
    from northstar.domain.requirements import RequirementClass
    from northstar.policy.routing.gpu_pace import GpuPaces
    from northstar.policy.routing.ready_after import PatienceRule
    from northstar.policy.routing.snapshot import CellSnapshot, LaneState, MachineState


class FitSlots(msgspec.Struct, frozen=True, kw_only=True):
    """Slots of the machines that fit a job and take work now.

    `held_back_s` are, for free slots whose machine must leave the job to better ones for a while, the seconds until it may
    take it; those that may take it now are `free`.
    """

    machines: int = 0
    slots: int = 0
    free: int = 0
    held_back_s: tuple[float, ...] = ()


def fit_slots(
    lane: LaneState,
    wanted: RequirementClass,
    snapshot: CellSnapshot,
    rule: PatienceRule,
    *,
    waited_ms: int,
    paces: GpuPaces = NO_PACES,
) -> FitSlots:
    """Count them for a job that has waited so long. What a machine holds back from goes by the lane's oldest job, so it may be sooner.

    `paces` are those of the plans that rank the machines.
    """
    profiles = {
        name for name, profile in snapshot.profiles.items() if decide_fit(profile, wanted, snapshot.node_sets).fits
    }
    fitting = [machine for machine in snapshot.machines.values() if machine.takes_work and machine.profile in profiles]
    holders = holders_of(fitting, lane.anchors, now_ms=snapshot.now_ms, paces=paces)
    free, held_back = 0, list[float]()
    for machine in fitting:
        unused = max(0, machine.slots - machine.used)
        pace, service = paces.of(machine.gpu_class), wanted.service
        start = start_of(machine, lane, holders, rule, service=service, now_ms=snapshot.now_ms, pace=pace)
        left_ms = start.wait_ms - waited_ms
        if left_ms <= 0:
            free += unused
        else:
            held_back += [left_ms / 1000] * unused
    slots = sum(machine.slots for machine in fitting)
    return FitSlots(machines=len(fitting), slots=slots, free=free, held_back_s=tuple(sorted(held_back)))


def expected_wait_s(ahead: int, slots: FitSlots, *, run_s: float | None) -> float | None:
    """Seconds until a machine takes a job that has `ahead` others before it.

    None if nobody fits, or if `run_s`, the mean time of a run, would be needed and is not known.

    >>> expected_wait_s(2, FitSlots(machines=1, slots=2), run_s=10.0), expected_wait_s(0, FitSlots(slots=1, free=1), run_s=None)
    (15.0, 0.0)
    """
    if not slots.slots:
        return None
    if ahead < slots.free:
        return 0.0
    behind = ahead - slots.free
    queue_s = None if run_s is None else (behind + 1) * run_s / slots.slots
    if behind < len(slots.held_back_s):
        # A machine that lacks the model waits for a better one to get free, and takes the job itself if none does.
        return min(slots.held_back_s[behind], queue_s) if queue_s is not None else slots.held_back_s[behind]
    return queue_s


def shared_lanes(lane: LaneState, order: str, wanted: RequirementClass, snapshot: CellSnapshot) -> list[LaneState]:
    """Other lanes whose first job comes before `order`, and which some machine may take that may also take this lane."""
    ours = [profile for profile in _served_by(snapshot) if decide_fit(profile, wanted, snapshot.node_sets).fits]
    shared: dict[str, bool] = {}
    found: list[LaneState] = []
    for other in snapshot.lanes.values():
        if other.id == lane.id or not other.waits or other.head >= order:
            continue
        if other.requirement_class not in shared:
            theirs = snapshot.classes.get(other.requirement_class)
            shared[other.requirement_class] = theirs is not None and any(
                decide_fit(profile, theirs, snapshot.node_sets).fits for profile in ours
            )
        if shared[other.requirement_class]:
            found.append(other)
    return found


class Here(msgspec.Struct, frozen=True):
    """The machines of a cell in short: how many take work, what pools they all serve, and how many take none and do not drain."""

    working: int
    pools: tuple[str, ...]
    out: int = 0


def why_nobody(wanted: RequirementClass, snapshot: CellSnapshot, *, here: Here | None = None) -> str:
    """Why no machine takes such a job now: those that fit take no work, or all that the closest one lacks.

    Where the snapshot has only some of the machines, `here` tells of all.
    """
    machines = list(snapshot.machines.values())
    if not machines:
        return "no machine is here"
    lacks = {profile: lacks_of(profile, wanted, snapshot) for profile in {machine.profile for machine in machines}}
    if fit := sorted((one for one in machines if not lacks[one.profile]), key=lambda machine: machine.id):
        return _takes_none(fit)
    working = [machine for machine in machines if machine.takes_work]
    here = here or Here(
        len(working),
        tuple(sorted({pool for one in machines for pool in _pools_of(one, snapshot)})),
        sum(bool(machine.out_because) for machine in machines),
    )
    told = _of_the_closest(wanted, working or machines, lacks, snapshot, here=here)
    if here.working:
        return told
    return f"{told}; {'no machine takes work now' if here.out else 'all machines drain'}"


def _takes_none(fit: Sequence[MachineState]) -> str:
    """Of machines that fit and are no help; the first that says why speaks for those that do not drain."""
    if len(fit) == 1:
        return f"{fit[0].id} fits, but {fit[0].out_because or 'takes no new work now'}"
    named = ", ".join(one.id for one in fit[:MOST_NAMED]) + (", …" if len(fit) > MOST_NAMED else "")
    out = next((one for one in fit if one.out_because), None)
    why = "" if out is None else f"; of {out.id}, {out.out_because}"
    return f"{len(fit)} machines fit, but take no new work now ({named}){why}"


def _of_the_closest(
    wanted: RequirementClass,
    machines: Sequence[MachineState],
    lacks: Mapping[str, tuple[Lack, ...]],
    snapshot: CellSnapshot,
    *,
    here: Here,
) -> str:
    near = {profile: nearness(profile, lacks[profile], wanted, snapshot) for profile in lacks}
    closest = min(machines, key=lambda machine: (near[machine.profile], machine.id))
    missing = lacks[closest.profile]
    if [lack.need for lack in missing] == ["pool"] and wanted.pool not in {UNIFORM, *here.pools}:
        return f"no machine serves pool {wanted.pool} (there are {', '.join(here.pools) or 'none'})"
    count = here.working or len(machines)
    others = f" (the closest of {count})" if count > 1 else ""
    return f"no machine fits now: {closest.id}{others} {' and '.join(lack.says for lack in missing)}"


def _pools_of(machine: MachineState, snapshot: CellSnapshot) -> tuple[str, ...]:
    profile = snapshot.profiles.get(machine.profile)
    return profile.pools if profile else ()


def _served_by(snapshot: CellSnapshot) -> list[MachineProfile]:
    """Profiles of machines that take work now."""
    names = {machine.profile for machine in snapshot.machines.values() if machine.takes_work}
    return [snapshot.profiles[name] for name in sorted(names) if name in snapshot.profiles]
