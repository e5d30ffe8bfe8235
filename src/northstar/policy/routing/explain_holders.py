"""How a machine stands to a lane beside those that hold its models: all that explanations ask of the rule of patience."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import msgspec

from northstar.policy.routing.candidates import better_than, holders_of, start_of
from northstar.policy.routing.fleet_index import FleetIndex
from northstar.policy.routing.gpu_pace import NO_PACES
from northstar.policy.routing.holders import Holders, fetch_left_ms
from northstar.policy.routing.machine_choice import JobNeed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from northstar.policy.routing.gpu_pace import GpuPaces
    from northstar.policy.routing.ready_after import PatienceRule
    from northstar.policy.routing.snapshot import CellSnapshot, LaneState, MachineState

Counted: TypeAlias = Holders


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How a machine stands to a lane.

    `wait_ms` is how long the lane's oldest job must have waited before the machine may take it; `missing_bytes` is what it would
    have to begin to fetch, and `coming_ms` is until what is on its way should be there; `better` are machines that could start sooner, and `jobs` those that wait for them.
    """

    wait_ms: int
    missing_bytes: int
    coming_ms: float
    better: int
    jobs: int


def counted_holders(
    fitting: Iterable[MachineState], lane: LaneState, *, now_ms: int, paces: GpuPaces = NO_PACES
) -> Counted:
    """Holders of a lane's models among machines that fit it."""
    return holders_of(fitting, lane.anchors, now_ms=now_ms, paces=paces)


def standing_of(
    machine: MachineState,
    lane: LaneState,
    holders: Counted,
    rule: PatienceRule,
    *,
    service: str,
    now_ms: int,
    paces: GpuPaces = NO_PACES,
) -> Standing:
    """By the rule that routing itself uses, and its `paces`; `holders` are counted by the same, and `service` is the lane's."""
    lacking = (size for name, size in lane.anchors if name not in machine.held and name not in machine.fetching)
    pace = paces.of(machine.gpu_class)
    return Standing(
        wait_ms=start_of(machine, lane, holders, rule, service=service, now_ms=now_ms, pace=pace).wait_ms,
        missing_bytes=sum(lacking) if machine.description.keeps_models else 0,
        coming_ms=fetch_left_ms(machine, lane.anchors, now_ms),
        better=better_than(machine, lane.anchors, holders, service=service).machines,
        jobs=lane.waiting,
    )


class HolderCounts:
    """The same counts as `counted_holders` for many lanes of one snapshot, at little more than the cost of one."""

    def __init__(self, snapshot: CellSnapshot, paces: GpuPaces = NO_PACES) -> None:
        self._classes = snapshot.classes
        self._paces = paces
        self._index = FleetIndex(snapshot, paces=paces)

    def of(self, lane: LaneState) -> Counted:
        """Machines that fit the lane's class, which the snapshot must know, and have all its anchors."""
        paces = self._paces
        run_s = {name: lane.run_s * paces.of(name) for name in self._index.gpu_classes} if paces.factors else {}
        wanted = self._classes[lane.requirement_class]
        return self._index.holders(JobNeed(wanted=wanted, models=lane.anchors, run_s=run_s, run_elsewhere_s=lane.run_s))
