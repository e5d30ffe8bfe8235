"""Why a machine does nothing, what it may take and what it may not: the view of a job's wait from the other side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from northstar.domain.explanations import Action, Blocked, LaneDemand, MachineCode, PoolDemand
from northstar.domain.reasons import MOST_NAMED, MOST_SHOWN, Reason
from northstar.policy.fleet.health import QUARANTINED
from northstar.policy.routing.explain_fit import lacks_of, nearness
from northstar.policy.routing.explain_holders import HolderCounts
from northstar.policy.routing.explain_machines import Wait, no_room_for, patience_of, with_engine
from northstar.policy.routing.explain_nearest import can_be_mended, mend, refused_entry
from northstar.policy.routing.explain_remedies import end_of_pause
from northstar.policy.routing.gpu_pace import NO_PACES, GpuPaces
from northstar.policy.routing.pool_entry import ANY_ENTRY

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from northstar.domain.reasons import Lack
    from northstar.policy.routing.pool_entry import PoolEntry
    from northstar.policy.routing.ready_after import PatienceRule
    from northstar.policy.routing.snapshot import CellSnapshot, LaneState, MachineState

#: Of a lane whose class this version cannot read.
_UNREADABLE: Final = Reason(code="out_of_work", says="a newer version wrote what its jobs ask for")


_OVERDUE_FIRST: Final = Reason(code="overdue_first")
_DRAINING: Final = Reason(code="draining")


class LaneWait(msgspec.Struct, frozen=True):
    """Jobs that wait in a lane, and when the oldest of them was submitted."""

    waiting: int
    oldest_ms: int


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """What waits in a cell: the lanes that were counted, in the order in which every machine sees them."""

    now_ms: int
    overdue_ms: int
    lanes: Mapping[str, LaneWait] = {}
    pauses: Mapping[str, str] = {}
    #: How fast classes of GPU are, as in the plans that rank the machines.
    paces: GpuPaces = NO_PACES


class Idleness(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine does, or why it does nothing."""

    code: MachineCode
    pools: tuple[PoolDemand, ...] = ()
    may_take: tuple[LaneDemand, ...] = ()
    more_lanes: int = 0
    blocked: tuple[Blocked, ...] = ()
    actions: tuple[Action, ...] = ()


def idleness_of(
    machine: MachineState,
    demand: Demand,
    snapshot: CellSnapshot,
    rule: PatienceRule,
    *,
    of_this_host: Collection[str] = (),
    entry: PoolEntry = ANY_ENTRY,
) -> Idleness:
    """What the machine may take of the cell's demand, and why not the rest; `of_this_host` and `entry` as for `explain_nearest`."""
    judged = _Judgement(machine, demand, snapshot, rule).lanes()
    open_ = [lane for lane in judged if _is_open(lane)]
    open_.sort(key=_left_s)
    code = _code_of(machine, judged, open_)
    pools = _pools(machine, judged, demand, snapshot)
    return Idleness(
        code=code,
        pools=pools,
        may_take=tuple(open_[:MOST_SHOWN]),
        more_lanes=len(open_[MOST_SHOWN:]),
        blocked=_blocked(judged),
        actions=(
            *_actions(machine, code, pools=pools, pauses=demand.pauses),
            *(_mended(machine, demand, snapshot, of_this_host, entry) if _fits_nothing(code, judged) else ()),
        ),
    )


class _Judgement:
    """One machine against every lane in which somebody waits."""

    def __init__(self, machine: MachineState, demand: Demand, snapshot: CellSnapshot, rule: PatienceRule) -> None:
        self._machine = machine
        self._demand = demand
        self._snapshot = snapshot
        self._rule = rule
        self._lacks: dict[str, tuple[Lack, ...]] = {}
        self._holders = HolderCounts(snapshot, demand.paces)
        #: Since when the oldest overdue job waits that fits the machine and not what is free there: nothing that much younger may take that room.
        self._keeps_room_since_ms: int | None = None

    def lanes(self) -> list[LaneDemand]:
        """All of them, with the reason why this machine does not take them, or that it does."""
        found = []
        for name, counted in self._demand.lanes.items():
            lane = self._snapshot.lanes.get(name)
            if lane is not None and counted.waiting:
                told = demand_of(lane, counted.waiting, self._snapshot, reason=self._reason(lane, counted))
                found.append((counted.oldest_ms, told))
        # The queue asks the first head that is ready, and no other one where that has to wait for the room.
        takes = (oldest_ms for oldest_ms, told in found if told.reason is not None and told.reason.code == "takes_it")
        first_ms = next(takes, None)
        keeps_all = first_ms is not None and self._is_kept_from(first_ms)
        return [
            msgspec.structs.replace(told, reason=_OVERDUE_FIRST)
            if _is_open(told) and (keeps_all or self._is_kept_from(oldest_ms))
            else told
            for oldest_ms, told in found
        ]

    def _is_kept_from(self, oldest_ms: int) -> bool:
        since_ms = self._keeps_room_since_ms
        return since_ms is not None and oldest_ms - since_ms >= self._demand.overdue_ms

    def _reason(self, lane: LaneState, counted: LaneWait) -> Reason:
        name = lane.requirement_class
        wanted = self._snapshot.classes.get(name)
        if wanted is None:
            return _UNREADABLE
        if name not in self._lacks:
            self._lacks[name] = lacks_of(self._machine.profile, wanted, self._snapshot)
        if lacks := self._lacks[name]:
            return Reason(code="does_not_fit", lacks=lacks)
        if not self._machine.active:
            return _DRAINING
        wait = Wait(
            lane=lane,
            wanted=wanted,
            now_ms=self._demand.now_ms,
            submitted_ms=counted.oldest_ms,
            oldest_ms=counted.oldest_ms,
            overdue_ms=self._demand.overdue_ms,
            pauses=self._demand.pauses,
            paces=self._demand.paces,
        )
        if (paused := wait.paused) is not None:
            return paused
        if (no_room := no_room_for(self._machine, wanted)) is not None:
            if counted.oldest_ms + self._demand.overdue_ms <= self._demand.now_ms:
                since_ms = self._keeps_room_since_ms
                self._keeps_room_since_ms = min(counted.oldest_ms, since_ms or counted.oldest_ms)
            return no_room
        holders = self._holders.of(lane)
        patience = patience_of(self._machine, wait, holders, self._rule)
        reason = Reason(code="takes_it") if patience is None else Reason(code="leaves_to_holders", patience=patience)
        return with_engine(reason, self._machine, wait)


def demand_of(lane: LaneState, waiting: int, snapshot: CellSnapshot, *, reason: Reason | None = None) -> LaneDemand:
    """A lane by what its jobs ask for."""
    wanted = snapshot.classes.get(lane.requirement_class)
    return LaneDemand(
        service=wanted.service if wanted else "?",
        pool=wanted.pool if wanted else "?",
        models=tuple(name for name, _ in lane.anchors),
        waiting=waiting,
        unfinished=lane.unfinished,
        reason=reason,
    )


def _code_of(machine: MachineState, judged: Sequence[LaneDemand], open_: Sequence[LaneDemand]) -> MachineCode:
    trouble = machine.description.trouble
    if not machine.active:
        return "draining"
    if QUARANTINED in trouble:
        return "quarantined"
    if not machine.takes_work:
        return "out_of_work"
    if machine.used >= machine.slots:
        return "busy"
    if trouble and not machine.parked and not machine.used:
        return "out_of_work"
    if not judged:
        return "nothing_waits"
    return (
        "takes_work" if any(lane.reason is not None and lane.reason.code == "takes_it" for lane in open_) else "blocked"
    )


def _blocked(judged: Iterable[LaneDemand]) -> tuple[Blocked, ...]:
    """Lanes that it does not take now by the reason, those with the most jobs first. Of patience the first to end is given."""
    found: dict[tuple[str, tuple[Lack, ...], str], list[LaneDemand]] = {}
    for lane in judged:
        if lane.reason is not None and lane.reason.code != "takes_it":
            found.setdefault((lane.reason.code, lane.reason.lacks, lane.reason.scope), []).append(lane)
    groups = [_group(sorted(lanes, key=_left_s)) for lanes in found.values()]
    groups.sort(key=lambda group: (-group.jobs, group.reason.code))
    return tuple(groups[:MOST_SHOWN])


def _group(lanes: Sequence[LaneDemand]) -> Blocked:
    reason = lanes[0].reason or Reason(code="takes_it")
    examples = tuple(msgspec.structs.replace(lane, reason=None) for lane in lanes[:MOST_NAMED])
    return Blocked(reason=reason, lanes=len(lanes), jobs=sum(lane.waiting for lane in lanes), examples=examples)


def _pools(
    machine: MachineState, judged: Iterable[LaneDemand], demand: Demand, snapshot: CellSnapshot
) -> tuple[PoolDemand, ...]:
    profile = snapshot.profiles.get(machine.profile)
    waiting = dict.fromkeys(profile.pools if profile else (), 0)
    fits = dict(waiting)
    for lane in judged:
        if lane.pool in waiting:
            waiting[lane.pool] += lane.waiting
            fits[lane.pool] += 0 if lane.reason is None or lane.reason.code == "does_not_fit" else lane.waiting
    everything = "cell" in demand.pauses
    return tuple(
        PoolDemand(pool=pool, waiting=count, fits=fits[pool], paused=everything or f"pool:{pool}" in demand.pauses)
        for pool, count in waiting.items()
    )


def _actions(
    machine: MachineState, code: MachineCode, *, pools: Iterable[PoolDemand], pauses: Mapping[str, str]
) -> Iterable[Action]:
    if code == "draining":
        yield Action("give it work again", f"northstar machines drain {machine.id} --undo")
    if code in {"out_of_work", "quarantined"}:
        yield Action("see what its engines say", f"northstar machines show {machine.id}")
    for scope in ("cell", *(f"pool:{pool.pool}" for pool in pools)):
        if scope in pauses:
            yield end_of_pause(scope, pauses[scope])


def _fits_nothing(code: MachineCode, judged: Iterable[LaneDemand]) -> bool:
    """Whether it is idle because nothing that waits is for a machine like this."""
    return code == "blocked" and all(lane.reason and lane.reason.code == "does_not_fit" for lane in judged)


def _mended(
    machine: MachineState, demand: Demand, snapshot: CellSnapshot, of_this_host: Collection[str], entry: PoolEntry
) -> list[Action]:
    """What would let it take the kind of job of which most wait, if its pools, tags or engines are all that it lacks, and it may have them."""
    offered = snapshot.profiles.get(machine.profile)
    waiting: dict[str, int] = {}
    for name, counted in demand.lanes.items():
        if (lane := snapshot.lanes.get(name)) is not None:
            waiting[lane.requirement_class] = waiting.get(lane.requirement_class, 0) + counted.waiting
    for name in sorted(waiting, key=lambda name: (-waiting[name], name)):
        wanted = snapshot.classes.get(name)
        lacks = () if wanted is None else lacks_of(machine.profile, wanted, snapshot)
        if offered is None or wanted is None or not lacks:
            continue
        if can_be_mended(nearness(machine.profile, lacks, wanted, snapshot)) and not refused_entry(
            machine, lacks, wanted, offered, entry
        ):
            return mend(machine.id, lacks, wanted, offered, is_of_this_host=machine.id in of_this_host)
    return []


def _is_open(lane: LaneDemand) -> bool:
    """Whether the machine takes such jobs, now or after a while."""
    return lane.reason is not None and lane.reason.code in {"takes_it", "leaves_to_holders"}


def _left_s(lane: LaneDemand) -> float:
    return lane.reason.patience.left_s if lane.reason is not None and lane.reason.patience is not None else 0.0
