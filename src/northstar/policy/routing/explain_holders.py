"""How a machine stands to a lane beside those that hold its models: all that explanations ask of the rule of patience."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import msgspec

from northstar.policy.routing.candidates import Anchors, Holders, holders_of, wait_ms_of
from northstar.policy.routing.ready_after import missing_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from northstar.policy.routing.ready_after import PatienceRule
    from northstar.policy.routing.snapshot import CellSnapshot, LaneState, MachineState

Counted: TypeAlias = Holders


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How a machine stands to a lane.

    `wait_ms` is how long the lane's oldest job must have waited before the machine may take it; `missing_bytes` is what it would
    have to fetch; `better` are machines that could start sooner, and `jobs` those that ask for them.
    """

    wait_ms: int
    missing_bytes: int
    better: int
    jobs: int


def counted_holders(fitting: Iterable[MachineState], lane: LaneState) -> Counted:
    """Holders of a lane's models among machines that fit it."""
    return holders_of(fitting, lane.anchors)


def standing_of(machine: MachineState, lane: LaneState, holders: Counted, rule: PatienceRule) -> Standing:
    """By the rule that routing itself uses."""
    has_all = all(name in machine.held for name, _ in lane.anchors)
    return Standing(
        wait_ms=wait_ms_of(machine, lane, holders, rule),
        missing_bytes=missing_bytes(lane.anchors, machine.held),
        better=holders.resident if has_all else holders.anywhere,
        jobs=lane.unfinished,
    )


class HolderCounts:
    """The same counts as `counted_holders`, with one bit a machine, so that a thousand lanes cost little more than one.

    What nobody has decided yet counts as no fit.
    """

    def __init__(self, snapshot: CellSnapshot) -> None:
        self._fits = snapshot.fits
        self._profiles: dict[str, int] = {}
        self._anywhere: dict[str, int] = {}
        self._resident: dict[str, int] = {}
        active = (machine for machine in snapshot.machines.values() if machine.active)
        for number, machine in enumerate(active):
            bit = 1 << number
            self._profiles[machine.profile] = self._profiles.get(machine.profile, 0) | bit
            for name, state in machine.held.items():
                self._anywhere[name] = self._anywhere.get(name, 0) | bit
                if state == "resident":
                    self._resident[name] = self._resident.get(name, 0) | bit
        self._serving: dict[str, int] = {}

    def of(self, requirement_class: str, anchors: Anchors) -> Counted:
        """Machines that fit the class and hold all anchors: anywhere, and in memory."""
        anywhere = resident = self._served(requirement_class)
        for name, _ in anchors:
            anywhere &= self._anywhere.get(name, 0)
            resident &= self._resident.get(name, 0)
        return Counted(anywhere=anywhere.bit_count(), resident=resident.bit_count())

    def _served(self, requirement_class: str) -> int:
        if requirement_class not in self._serving:
            serving = 0
            for profile, machines in self._profiles.items():
                if self._fits.get((profile, requirement_class), False):
                    serving |= machines
            self._serving[requirement_class] = serving
        return self._serving[requirement_class]
