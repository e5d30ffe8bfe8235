"""In about how many seconds a waiting job is taken by a machine, and why that cannot be said where it cannot.

Whitt, "Predicting Queueing Delays" (Management Science 45, 1999): who finds all `s` servers busy and `a` others before it waits
for `a + 1` departures, which come `s` in a mean service time, so (a + 1) · E[S] / s. What is approximated: E[S] is the mean of
what ran lately, not the times of the very jobs ahead; those in service count as if they had just begun, so the answer errs
towards too long; jobs of other lanes that come before and fit the same machines count in full, though some of them may go to
machines that this job cannot take; free slots are counted without the VRAM that other jobs on the machine hold. It says
nothing of jobs that go first for other reasons: those that come later with a higher priority or in their tenant's turn, and
those that are overdue.

How far off it may be follows from how far single runs lie apart. By the same paper the wait is a sum of independent times between
departures, and the deviation of a sum of n such times, relative to its mean, is that of one of them divided by the root of n (it has
for n exponential ones the squared coefficient of variation 1/n). So the factors by which a short run (p10) and a long one (p90) differ
from the mean count with 1/sqrt(n). At the low end the first departure comes at once, since those in service may be nearly done.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from northstar.domain.reasons import MOST_NAMED
from northstar.domain.requirements import UNIFORM
from northstar.policy.routing.candidates import holders_of, start_of
from northstar.policy.routing.explain_fit import lacks_of, nearness
from northstar.policy.routing.fit import HELD_BACK, decide_fit
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


class RunTimes(msgspec.Struct, frozen=True, kw_only=True):
    """How long runs of a kind take, in seconds: one in ten is over by `p10_s`, and nine in ten by `p90_s`."""

    mean_s: float
    p10_s: float
    p90_s: float


def run_times(seconds: Sequence[float]) -> RunTimes | None:
    """What lately ended runs say together; None where there are none.

    >>> run_times([10.0, 20.0, 30.0])
    RunTimes(mean_s=20.0, p10_s=12.0, p90_s=28.0)
    """
    if not seconds:
        return None
    ordered = sorted(seconds)
    return RunTimes(mean_s=sum(ordered) / len(ordered), p10_s=_quantile(ordered, 0.1), p90_s=_quantile(ordered, 0.9))


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Between the two nearest, as Hyndman and Fan's definition 7 (The American Statistician 50, 1996)."""
    at = share * (len(ordered) - 1)
    below = math.floor(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (at - below) * (ordered[above] - ordered[below])


def wait_interval_s(ahead: int, slots: FitSlots, *, runs: RunTimes | None) -> tuple[float, float] | None:
    """Between which seconds (p10 and p90) the wait lies that `expected_wait_s` gives with the mean of `runs`; None where that gives none.

    >>> runs = RunTimes(mean_s=10.0, p10_s=5.0, p90_s=20.0)
    >>> wait_interval_s(0, FitSlots(slots=1), runs=runs), wait_interval_s(3, FitSlots(slots=1), runs=runs)
    ((0.0, 20.0), (21.339745962155614, 60.0))
    """
    if expected_wait_s(ahead, slots, run_s=None if runs is None else runs.mean_s) is None:
        return None
    if ahead < slots.free:
        return 0.0, 0.0
    behind = ahead - slots.free
    # A machine that must leave the job to better ones takes it itself after that time, if none of them has done so before.
    at_latest_s = slots.held_back_s[behind] if behind < len(slots.held_back_s) else math.inf
    if runs is None:
        return 0.0, at_latest_s
    if runs.mean_s <= 0:
        return 0.0, 0.0
    most, least = behind + 1, behind
    long, short = runs.p90_s / runs.mean_s - 1, 1 - runs.p10_s / runs.mean_s
    each_s = runs.mean_s / slots.slots
    high_s = most * each_s * (1 + max(0.0, long) / math.sqrt(most))
    low_s = least * each_s * (1 - max(0.0, short) / math.sqrt(least)) if least else 0.0
    return min(low_s, at_latest_s), min(high_s, at_latest_s)


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
    if wanted.is_held:
        return HELD_BACK
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
