"""The machines of a cell by profile, and how they stand: what a job finds is the same for all machines of a crowd."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from northstar.domain.machines import MachineProfile
from northstar.policy.routing.explain_fit import is_kept
from northstar.policy.routing.snapshot import MachineState

if TYPE_CHECKING:
    from northstar.policy.routing.snapshot import CellSnapshot

#: Machines of one kind that are known by name.
MOST_NAMES: Final = 2

#: How machines stand: they take work, they drain, or none of their engines takes work.
Standing = Literal["working", "draining", "out_of_work"]
STANDINGS: Final[tuple[Standing, ...]] = ("working", "draining", "out_of_work")


class Crowd(msgspec.Struct, frozen=True, kw_only=True):
    """Machines of one profile by how they stand, the first by name of each kind, and how many there are of it."""

    offered: MachineProfile | None
    pools: frozenset[str]
    #: For a pool that does no other work.
    is_kept: bool
    first: dict[Standing, tuple[MachineState, ...]]
    counts: dict[Standing, int]

    def some(self, *standings: Standing) -> tuple[MachineState, ...]:
        """The first by name of those that stand so."""
        return tuple(machine for standing in standings for machine in self.first.get(standing, ()))

    def count(self, *standings: Standing) -> int:
        """How many stand so."""
        return sum(self.counts.get(standing, 0) for standing in standings)


def crowds_of(snapshot: CellSnapshot) -> dict[str, Crowd]:
    """Profile -> its machines."""
    found: dict[str, dict[Standing, list[MachineState]]] = {}
    for machine in snapshot.machines.values():
        found.setdefault(machine.profile, {}).setdefault(_standing(machine), []).append(machine)
    return {
        profile: Crowd(
            offered=(offered := snapshot.profiles.get(profile)),
            pools=frozenset(offered.pools if offered else ()),
            is_kept=offered is not None and is_kept(offered),
            first={standing: _first(machines) for standing, machines in by_standing.items()},
            counts={standing: len(machines) for standing, machines in by_standing.items()},
        )
        for profile, by_standing in found.items()
    }


def _standing(machine: MachineState) -> Standing:
    if machine.takes_work:
        return "working"
    return "out_of_work" if machine.active else "draining"


def _first(machines: list[MachineState]) -> tuple[MachineState, ...]:
    return tuple(heapq.nsmallest(MOST_NAMES, machines, key=lambda machine: machine.id))
