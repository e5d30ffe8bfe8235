"""Machines that a plan cannot tell apart, taken together: a fleet of thousands is mostly a few kinds of machines.

Groups also keep what plans found of them, so that the next plan looks anew only at what has changed since.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from northstar.policy.routing.links import link_class
from northstar.policy.routing.model_supply import supply_key

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from northstar.policy.routing.bit_sets import Bits
    from northstar.policy.routing.gpu_pace import GpuPaces
    from northstar.policy.routing.own_choices import Ranking
    from northstar.policy.routing.ready_after import PatienceRule
    from northstar.policy.routing.seen_lanes import Asked, KnownNeed, NeedKey, SeenLane
    from northstar.policy.routing.snapshot import MachineState
    from northstar.policy.routing.start import Start

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
    #: The bit that stands for the group in sets of groups; -1: it takes no work, and is in none.
    number: int = -1
    slots: int = 0
    #: Of the slots; jobs beyond them, after a machine was given fewer, do not count.
    used: int = 0
    #: Lane -> how the group stood to it, and what that follows from: it holds as long as the lane is seen as this.
    starts: dict[str, tuple[SeenLane | Asked, Start]] = {}
    #: What the last plan said of the group: the same object as long as plans say the same.
    ranking: Ranking = []
    #: Machine -> candidates that were compared with a ranking, that ranking, and whether they say the same.
    compared: dict[str, tuple[Collection[object], Ranking, bool]] = {}


class GroupBits(msgspec.Struct):
    """Groups that take work as sets of bits, by what they have: models in memory, anywhere, or at least soon; profiles; classes of GPU."""

    resident: dict[str, Bits] = {}
    anywhere: dict[str, Bits] = {}
    soon: dict[str, Bits] = {}
    profiles: dict[str, Bits] = {}
    gpus: dict[str, Bits] = {}

    def turn(self, group: Alike) -> None:
        """A group comes, or one goes that had come."""
        bit, machine = 1 << group.number, group.example
        _turn(self.resident, (name for name, state in machine.held.items() if state == "resident"), bit)
        _turn(self.anywhere, machine.held, bit)
        _turn(self.soon, machine.held.keys() | machine.fetching.keys(), bit)
        _turn(self.profiles, (machine.profile,), bit)
        _turn(self.gpus, (machine.gpu_class,), bit)


class AlikeMachines:
    """The groups of a fleet that is seen again and again: a machine that is the same object as at the last look costs a comparison.

    The result follows from the machines alone, however often they were seen before; only which bit stands for a group does not.
    """

    def __init__(self) -> None:
        self._groups: dict[Key, Alike] = {}
        self._seen: dict[str, tuple[MachineState, Alike]] = {}
        self._free: list[int] = []
        #: Groups by their numbers; what stands at a number that is free is in no set.
        self.numbered: list[Alike] = []
        self.bits = GroupBits()
        #: Groups that have come or gone since the look before, or have other machines, slots or slots used; and only those that came or went.
        self.moved: Bits = 0
        self.renewed: Bits = 0
        #: What plans found of needs and lanes, and by which rule, paces and fastest pace they ranked, as long as it holds.
        self.needs: dict[NeedKey, KnownNeed] = {}
        self.lanes: dict[str, SeenLane] = {}
        self.ranked_by: tuple[PatienceRule, GpuPaces, float] | None = None

    def see(self, machines: Mapping[str, MachineState]) -> list[Alike]:
        """Each machine is in one group; nobody else may change these. They hold until the next look."""
        self.moved = self.renewed = 0
        for name in self._seen.keys() - machines.keys():
            self._leaves(name)
        for name, machine in machines.items():
            known = self._seen.get(name)
            if known is None or known[0] is not machine:
                self._sees(machine, known)
        return list(self._groups.values())

    def rank_by(self, rule: PatienceRule, paces: GpuPaces, fastest: float) -> None:
        """From now on plans rank by these; how groups stood by others is forgotten."""
        ranked_by = (rule, paces, fastest)
        if ranked_by != self.ranked_by:
            self.ranked_by = ranked_by
            self.needs.clear()
            self.lanes.clear()
            for group in self._groups.values():
                group.starts.clear()

    def _sees(self, machine: MachineState, known: tuple[MachineState, Alike] | None) -> None:
        key = _key(machine)
        if known is not None and known[1].key != key:
            self._leaves(machine.id)
            known = None
        if known is None:
            self._joins(machine, key)
            return
        before, group = known
        group.slots += machine.slots - before.slots
        group.used += min(machine.used, machine.slots) - min(before.used, before.slots)
        self._moves(group)
        self._seen[machine.id] = (machine, group)

    def _joins(self, machine: MachineState, key: Key) -> None:
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = Alike(key, machine, {})
            if machine.takes_work:
                self._number(group)
        group.ids[machine.id] = None
        group.slots += machine.slots
        group.used += min(machine.used, machine.slots)
        self._moves(group)
        self._seen[machine.id] = (machine, group)

    def _leaves(self, name: str) -> None:
        machine, group = self._seen.pop(name)
        del group.ids[name]
        group.compared.pop(name, None)
        group.slots -= machine.slots
        group.used -= min(machine.used, machine.slots)
        self._moves(group)
        if not group.ids:
            del self._groups[group.key]
            if group.number >= 0:
                self.bits.turn(group)
                self.renewed |= 1 << group.number
                self._free.append(group.number)

    def _number(self, group: Alike) -> None:
        if self._free:
            group.number = self._free.pop()
            self.numbered[group.number] = group
        else:
            group.number = len(self.numbered)
            self.numbered.append(group)
        self.bits.turn(group)
        self.renewed |= 1 << group.number

    def _moves(self, group: Alike) -> None:
        if group.number >= 0:
            self.moved |= 1 << group.number


def _key(machine: MachineState) -> Key:
    return (
        machine.profile,
        machine.gpu_class,
        link_class(machine.download_bytes_per_s),
        machine.takes_work,
        frozenset(machine.held.items()),
        frozenset(machine.fetching.items()),
        supply_key(machine),
    )


def _turn(sets: dict[str, Bits], names: Iterable[str], bit: Bits) -> None:
    """The bit is in the sets of these names if it was not, and the other way round; empty sets are not kept."""
    for name in names:
        bits = sets.get(name, 0) ^ bit
        if bits:
            sets[name] = bits
        else:
            del sets[name]
