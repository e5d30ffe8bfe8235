"""Machines that a plan cannot tell apart, taken together: a fleet of thousands is mostly a few kinds of machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from northstar.policy.routing.model_supply import supply_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from northstar.policy.routing.snapshot import MachineState

#: What machines of one group have in common.
Key = tuple[object, ...]


class Alike(msgspec.Struct):
    """Machines with the same profile, GPU, link, models and fetches, all of which take work or none does, and fetch models or not.

    `example` is, or was, one of them: only what they have in common may be read from it.
    """

    key: Key
    example: MachineState
    #: An ordered set.
    ids: dict[str, None]
    slots: int = 0
    #: Of the slots; jobs beyond them, after a machine was given fewer, do not count.
    used: int = 0


class AlikeMachines:
    """The groups of a fleet that is seen again and again: a machine that is the same object as at the last look costs a comparison.

    The result follows from the machines alone, however often they were seen before.
    """

    def __init__(self) -> None:
        self._groups: dict[Key, Alike] = {}
        self._seen: dict[str, tuple[MachineState, Alike]] = {}

    def see(self, machines: Mapping[str, MachineState]) -> list[Alike]:
        """Each machine is in one group; nobody else may change these. They hold until the next look."""
        for name in self._seen.keys() - machines.keys():
            self._leaves(name)
        for name, machine in machines.items():
            known = self._seen.get(name)
            if known is None:
                self._joins(machine)
            elif known[0] is not machine:
                self._leaves(name)
                self._joins(machine)
        return list(self._groups.values())

    def _joins(self, machine: MachineState) -> None:
        held, fetching = frozenset(machine.held.items()), frozenset(machine.fetching.items())
        rate, supply = machine.download_bytes_per_s, supply_key(machine)
        key = (machine.profile, machine.gpu_class, rate, machine.takes_work, held, fetching, supply)
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Alike(key, machine, {})
        group.ids[machine.id] = None
        group.slots += machine.slots
        group.used += min(machine.used, machine.slots)
        self._seen[machine.id] = (machine, group)

    def _leaves(self, name: str) -> None:
        machine, group = self._seen.pop(name)
        del group.ids[name]
        group.slots -= machine.slots
        group.used -= min(machine.used, machine.slots)
        if not group.ids:
            del self._groups[group.key]
