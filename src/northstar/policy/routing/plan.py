"""The candidates of every machine of a cell at once: the same answers as `candidates`, with what machines share done once.

What holds a plan small: holders are counted with one bit a machine, so a lane costs a few words of AND; a lane none of whose
models a machine has costs the same for all machines of its profile and link, so these share one ranking, and a machine adds
only the lanes that ask for something it holds.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from northstar.policy.routing.candidates import (
    HEAD_PLACES,
    MAX_CANDIDATES,
    Anchors,
    Choice,
    Holders,
    lane_order,
    wait_class,
)
from northstar.policy.routing.ready_after import missing_bytes, patience_ms, start_cost_ms

if TYPE_CHECKING:
    from collections.abc import Iterable

    from northstar.policy.routing.ready_after import PatienceRule
    from northstar.policy.routing.snapshot import CellSnapshot, LaneState, MachineState

#: (wait in ms, lane), best first.
Ranking: TypeAlias = list[tuple[int, str]]

#: A rank is one number, so that a million of them are no work for the garbage collector: wait class, then place (this many bits).
_PLACE_BITS = 32
_PLACE = (1 << _PLACE_BITS) - 1
#: Above every wait class: the class of a lane where nobody waits comes after all others.
_IDLE = 64


class _Need(msgspec.Struct, frozen=True, gc=False):
    """What lanes of one class and one set of anchors ask for, and who has it."""

    anchors: Anchors
    bytes: int
    holders: Holders


class _Ranked(msgspec.Struct, frozen=True):
    """Fitting lanes as a machine that holds nothing sees them over its link: ranks in order, and the wait of each place."""

    link: tuple[str, float]
    ranks: list[int]
    waits_ms: dict[int, int]


def plan_rankings(snapshot: CellSnapshot, rule: PatienceRule) -> dict[str, Ranking]:
    """At most 64 (wait in ms, lane) for every machine, best first. Machines that are alike have one and the same list."""
    return _Plan(snapshot, rule).all()


def plan_candidates(snapshot: CellSnapshot, rule: PatienceRule) -> dict[str, list[Choice]]:
    """At most 64 lanes for every machine, best first; machines that may take nothing have an empty list."""
    return {
        machine_id: [Choice(wait_ms, snapshot.machines[machine_id].used, lane) for wait_ms, lane in ranking]
        for machine_id, ranking in plan_rankings(snapshot, rule).items()
    }


class _Plan:
    """A lane's *place* is its number in the order in which every machine sees the lanes."""

    def __init__(self, snapshot: CellSnapshot, rule: PatienceRule) -> None:
        self._machines = list(snapshot.machines.values())
        self._rule = rule
        self._lanes = sorted(snapshot.lanes.values(), key=lane_order)
        self._needs = _needs(self._lanes, snapshot)
        self._asking = _lanes_by_model(self._lanes)
        self._fitting = _places_by_profile(self._lanes, snapshot)
        self._cold: _Ranked | None = None
        self._shared: dict[tuple[str, float, frozenset[tuple[str, str]]], Ranking] = {}

    def all(self) -> dict[str, Ranking]:
        # Machines with the same link follow each other, so one ranking of cold machines is kept at a time.
        for machine in sorted(self._machines, key=_link):
            self._of(machine)
        return {machine.id: self._of(machine) for machine in self._machines}

    def _of(self, machine: MachineState) -> Ranking:
        alike = (*_link(machine), frozenset(machine.held.items()))
        known = self._shared.get(alike)
        if known is None:
            known = self._shared[alike] = self._rank(machine)
        return known

    def _rank(self, machine: MachineState) -> Ranking:
        """(wait, lane) of the best 64, best first: the first heads in order, and the best of the others."""
        fitting = self._fitting.get(machine.profile, {})
        cold = self._ranked_cold(machine)
        warm = {place for name in machine.held for place in self._asking.get(name, ()) if place in fitting}
        waits_ms = {place: self._judge(machine, place) for place in warm}
        # The places beyond the first 64 of these cannot be chosen, whatever the machine holds.
        rest = islice((rank for rank in cold.ranks if rank & _PLACE not in warm), MAX_CANDIDATES)
        ranked = sorted([*rest, *(self._rank_of(place, wait_ms) for place, wait_ms in waits_ms.items())])
        heads = [place for place in islice(fitting, HEAD_PLACES) if self._lanes[place].waits]
        chosen = set(heads)
        others = (rank & _PLACE for rank in ranked if rank & _PLACE not in chosen)
        found = {
            place: waits_ms[place] if place in warm else cold.waits_ms[place]
            for place in [*heads, *islice(others, MAX_CANDIDATES - len(heads))]
        }
        best = sorted(self._rank_of(place, wait_ms) for place, wait_ms in found.items())
        return [(found[rank & _PLACE], self._lanes[rank & _PLACE].id) for rank in best]

    def _rank_of(self, place: int, wait_ms: int) -> int:
        return wait_class(wait_ms) + (0 if self._lanes[place].waits else _IDLE) << _PLACE_BITS | place

    def _ranked_cold(self, machine: MachineState) -> _Ranked:
        link = _link(machine)
        if self._cold is None or self._cold.link != link:
            waits_ms = {place: self._judge_cold(machine, place) for place in self._fitting.get(machine.profile, ())}
            ranks = sorted(self._rank_of(place, wait_ms) for place, wait_ms in waits_ms.items())
            self._cold = _Ranked(link, ranks, waits_ms)
        return self._cold

    def _judge_cold(self, machine: MachineState, place: int) -> int:
        """The wait of a machine that holds none of the lane's models."""
        need = self._needs[place]
        if not need.anchors or not need.holders.anywhere:
            return 0
        cost_ms = start_cost_ms(need.bytes, bytes_per_s=machine.download_bytes_per_s, rule=self._rule)
        return patience_ms(cost_ms, unfinished=self._lanes[place].unfinished, better=need.holders.anywhere)

    def _judge(self, machine: MachineState, place: int) -> int:
        """The wait of a machine that holds some of the lane's models."""
        need, held = self._needs[place], machine.held
        states = [held.get(name) for name, _ in need.anchors]
        if all(state == "resident" for state in states):
            return 0
        better = need.holders.anywhere if None in states else need.holders.resident
        if not better:
            return 0
        lacking = missing_bytes(need.anchors, held) if None in states else 0
        cost_ms = start_cost_ms(lacking, bytes_per_s=machine.download_bytes_per_s, rule=self._rule)
        return patience_ms(cost_ms, unfinished=self._lanes[place].unfinished, better=better)


def _link(machine: MachineState) -> tuple[str, float]:
    """Machines with the same see lanes alike whose models they do not have."""
    return (machine.profile, machine.download_bytes_per_s)


def _needs(lanes: Iterable[LaneState], snapshot: CellSnapshot) -> list[_Need]:
    """The need of each lane, in their order; machines are counted once for each class and set of anchors."""
    active = [machine for machine in snapshot.machines.values() if machine.active]
    anywhere, resident = _bits_by_model(active)
    serving = _bits_by_class(active, snapshot)
    known: dict[tuple[str, Anchors], _Need] = {}
    found: list[_Need] = []
    for lane in lanes:
        key = (lane.requirement_class, lane.anchors)
        if key not in known:
            holding = warm = serving.get(lane.requirement_class, 0)
            for name, _ in lane.anchors:
                holding &= anywhere.get(name, 0)
                warm &= resident.get(name, 0)
            holders = Holders(anywhere=holding.bit_count(), resident=warm.bit_count())
            known[key] = _Need(lane.anchors, sum(size_bytes for _, size_bytes in lane.anchors), holders)
        found.append(known[key])
    return found


def _bits_by_model(machines: Iterable[MachineState]) -> tuple[dict[str, int], dict[str, int]]:
    """Model -> the machines that have it, and those that have it in memory: one bit each, by their number."""
    anywhere: dict[str, int] = {}
    resident: dict[str, int] = {}
    for number, machine in enumerate(machines):
        for name, state in machine.held.items():
            anywhere[name] = anywhere.get(name, 0) | 1 << number
            if state == "resident":
                resident[name] = resident.get(name, 0) | 1 << number
    return anywhere, resident


def _bits_by_class(machines: Iterable[MachineState], snapshot: CellSnapshot) -> dict[str, int]:
    """Class -> the machines that fit it."""
    by_profile: dict[str, int] = {}
    for number, machine in enumerate(machines):
        by_profile[machine.profile] = by_profile.get(machine.profile, 0) | 1 << number
    serving: dict[str, int] = {}
    for (profile_id, class_id), fits in snapshot.fits.items():
        if fits and profile_id in by_profile:
            serving[class_id] = serving.get(class_id, 0) | by_profile[profile_id]
    return serving


def _lanes_by_model(lanes: Iterable[LaneState]) -> dict[str, list[int]]:
    """Model -> places of the lanes that ask for it."""
    asking: dict[str, list[int]] = {}
    for place, lane in enumerate(lanes):
        for name, _ in lane.anchors:
            asking.setdefault(name, []).append(place)
    return asking


def _places_by_profile(lanes: Iterable[LaneState], snapshot: CellSnapshot) -> dict[str, dict[int, None]]:
    """Profile -> places of the lanes that it fits, in order; only profiles that a machine has."""
    by_class: dict[str, list[int]] = {}
    for place, lane in enumerate(lanes):
        by_class.setdefault(lane.requirement_class, []).append(place)
    present = {machine.profile for machine in snapshot.machines.values()}
    places: dict[str, list[int]] = {}
    for (profile_id, class_id), fits in snapshot.fits.items():
        if fits and profile_id in present and class_id in by_class:
            places.setdefault(profile_id, []).extend(by_class[class_id])
    return {profile_id: dict.fromkeys(sorted(found)) for profile_id, found in places.items()}
