"""Holders of the models of many lanes: the same counts as `holders_of`, with one bit a machine, so that a thousand lanes cost little."""

from __future__ import annotations

from typing import TYPE_CHECKING

from northstar.policy.routing.candidates import Anchors, Holders

if TYPE_CHECKING:
    from northstar.policy.routing.snapshot import CellSnapshot


class HolderCounts:
    """Counts active machines of one snapshot; what nobody has decided yet counts as no fit."""

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

    def of(self, requirement_class: str, anchors: Anchors) -> Holders:
        """Machines that fit the class and hold all anchors: anywhere, and in memory."""
        anywhere = resident = self._served(requirement_class)
        for name, _ in anchors:
            anywhere &= self._anywhere.get(name, 0)
            resident &= self._resident.get(name, 0)
        return Holders(anywhere=anywhere.bit_count(), resident=resident.bit_count())

    def _served(self, requirement_class: str) -> int:
        if requirement_class not in self._serving:
            serving = 0
            for profile, machines in self._profiles.items():
                if self._fits.get((profile, requirement_class), False):
                    serving |= machines
            self._serving[requirement_class] = serving
        return self._serving[requirement_class]
