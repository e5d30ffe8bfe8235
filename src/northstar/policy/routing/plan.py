"""The candidates of every machine of a cell at once: the same answers as `candidates`, with what machines share done once.

What holds a plan small: machines that nothing tells apart are planned for once; holders are counted with one bit for each such
group, so a lane costs a few words of AND; a lane none of whose models a machine has costs the same for all machines of its profile
and link, so these share one ranking, and a group adds only the lanes that ask for something it holds.
"""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import msgspec

from northstar.policy.routing.alike import AlikeMachines
from northstar.policy.routing.candidates import (
    HEAD_PLACES,
    MAX_CANDIDATES,
    Choice,
    better_than,
    fastest_pace,
    lane_order,
    service_of,
    wait_class,
)
from northstar.policy.routing.lane_needs import lane_needs
from northstar.policy.routing.model_supply import may_have, supply_key
from northstar.policy.routing.own_choices import OwnChoices, Ranking
from northstar.policy.routing.own_work import OwnWork
from northstar.policy.routing.ranking_terms import NO_TERMS
from northstar.policy.routing.ready_after import (
    First,
    Lacking,
    fetch_ms,
    lacking_of,
    left_to_ms,
    load_ms,
    patience_ms,
    queue_s,
)
from northstar.policy.routing.start import Start

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from northstar.policy.routing.alike import Alike
    from northstar.policy.routing.lane_needs import LaneNeed
    from northstar.policy.routing.ranking_terms import RankingTerms
    from northstar.policy.routing.ready_after import PatienceRule
    from northstar.policy.routing.snapshot import CellSnapshot, LaneState, MachineState

#: A rank is one number, so that a million of them are no work for the garbage collector: wait class, then place (this many bits).
_PLACE_BITS = 32
_PLACE = (1 << _PLACE_BITS) - 1
#: Above every wait class: the class of a lane where nobody waits comes after all others.
_IDLE = 64


#: Profile, measured rate, pace of the GPU, and how it comes by models (`model_supply`).
_Link: TypeAlias = tuple[str, float, float, str]


class _Asked(NamedTuple):
    """What a machine that holds none of a lane's models must know of the lane.

    Bytes, ms to load them, the rank without the wait, ms of a run, ms that the holders are busy (always, where there are none), ms until one is free
    that has the models, and those of them that could begin first.
    """

    bytes: int
    load_ms: float
    base: int
    run_ms: float
    queue_ms: float
    until_free_ms: float
    firsts: tuple[First, ...]


class _Ranked(msgspec.Struct, frozen=True):
    """Fitting lanes as a machine that holds nothing sees them over its link: ranks in order, and waits of places, 0 if not named.

    `starts` are those that were asked for.
    """

    link: _Link
    ranks: list[int]
    waits_ms: dict[int, int]
    starts: dict[int, Start] = {}


def plan_rankings(
    snapshot: CellSnapshot, rule: PatienceRule, machines: AlikeMachines, terms: RankingTerms = NO_TERMS
) -> list[tuple[Alike, Ranking]]:
    """At most 64 (wait in ms, `Start.cost_ms`, lane), best first, for each group of machines that are alike.

    `machines` may know those of earlier snapshots; it sees these.
    """
    return _Plan(snapshot, rule, machines.see(snapshot.machines), terms).all()


def plan_candidates(
    snapshot: CellSnapshot, rule: PatienceRule, terms: RankingTerms = NO_TERMS
) -> dict[str, list[Choice]]:
    """At most 64 lanes for every machine, best first; machines that may take nothing have an empty list."""
    own = OwnChoices(snapshot, terms)
    return {
        machine_id: own.of(snapshot.machines[machine_id], ranking)
        for group, ranking in plan_rankings(snapshot, rule, AlikeMachines(), terms)
        for machine_id in group.ids
    }


class _Plan:
    """A lane's *place* is its number in the order in which every machine sees the lanes."""

    def __init__(self, snapshot: CellSnapshot, rule: PatienceRule, groups: list[Alike], terms: RankingTerms) -> None:
        self._groups = groups
        self._snapshot = snapshot
        self._paces = terms.paces
        self._fastest = fastest_pace(snapshot, terms.paces)
        self._now_ms = snapshot.now_ms
        self._rule = rule
        self._lanes = sorted(snapshot.lanes.values(), key=lane_order)
        self._services = [service_of(lane, snapshot) for lane in self._lanes]
        self._needs = lane_needs(self._lanes, self._groups, snapshot.fits, now_ms=snapshot.now_ms, paces=terms.paces)
        self._asked = [
            _asked(place, lane, need) for place, (lane, need) in enumerate(zip(self._lanes, self._needs, strict=True))
        ]
        self._asking = _lanes_by_model(self._lanes)
        self._fitting = _places_by_profile(self._lanes, snapshot.fits, {group.example.profile for group in groups})
        self._by_side: dict[str, tuple[list[int], list[int]]] = {}
        self._cold: _Ranked | None = None

    def all(self) -> list[tuple[Alike, Ranking]]:
        # Groups with the same link follow each other, so one ranking of cold machines is kept at a time.
        in_order = sorted(self._groups, key=lambda group: self._link(group.example))
        return [(group, self._rank(group.example)) for group in in_order]

    def _rank(self, machine: MachineState) -> Ranking:
        """Of the lanes that fit the machine at most 64, best first."""
        fitting = self._fitting.get(machine.profile, {})
        cold = self._ranked_cold(machine)
        known = [*machine.held, *machine.fetching]
        warm = {place for name in known for place in self._asking.get(name, ()) if place in fitting}
        starts = {place: self._judge(machine, place) for place in warm}
        if len(fitting) <= MAX_CANDIDATES:
            chosen: Iterable[int] = fitting
        else:
            chosen = self._chosen(fitting, cold, starts)
        found = {
            place: starts[place] if place in starts else self._cold_start(machine, place, cold) for place in chosen
        }
        found = self._held_back(machine, found)
        best = sorted(self._rank_of(place, start.wait_ms) for place, start in found.items())
        places = (rank & _PLACE for rank in best)
        return [(found[place].wait_ms, found[place].cost_ms, self._lanes[place].id) for place in places]

    def _held_back(self, machine: MachineState, found: dict[int, Start]) -> dict[int, Start]:
        """As in `candidates`: what would have to be fetched for stands back behind work of the machine's own."""
        lanes = ((self._lanes[place], start.wait_ms) for place, start in found.items())
        if not (own := OwnWork(machine, lanes, self._snapshot)):
            return found
        return {place: own.held_back(start, self._lanes[place], self._rule) for place, start in found.items()}

    def _chosen(self, fitting: Iterable[int], cold: _Ranked, starts: Mapping[int, Start]) -> list[int]:
        """Of more lanes than a machine may have: the first heads in order, and the best of the others."""
        # The places beyond the first 64 of these cannot be chosen, whatever the machine holds.
        rest = islice((rank for rank in cold.ranks if rank & _PLACE not in starts), MAX_CANDIDATES)
        ranked = sorted([*rest, *(self._rank_of(place, start.wait_ms) for place, start in starts.items())])
        heads = [place for place in islice(fitting, HEAD_PLACES) if self._lanes[place].waits]
        first = set(heads)
        others = (rank & _PLACE for rank in ranked if rank & _PLACE not in first)
        return [*heads, *islice(others, MAX_CANDIDATES - len(heads))]

    def _rank_of(self, place: int, wait_ms: int) -> int:
        return (wait_class(wait_ms) << _PLACE_BITS) + self._asked[place].base

    def _ranked_cold(self, machine: MachineState) -> _Ranked:
        """How a machine stands to each lane of whose models it holds none.

        For a fleet of machines with links of their own this is the loop over all pairs: it says what `_judge` says, with all done
        before that does not depend on the machine.
        """
        link = self._link(machine)
        if self._cold is not None and self._cold.link == link:
            return self._cold
        if not machine.description.keeps_models:
            self._cold = self._ranked_by_engine(machine, link)
            return self._cold
        at_once, open_ = self._sides(machine.profile)
        rule, asked, (_, bytes_per_s, pace, _) = self._rule, self._asked, link
        waits_ms: dict[int, int] = {}
        for place in open_:
            missing, loads_ms, _, run_ms, queue_ms, _, firsts = asked[place]
            cost_ms = fetch_ms(missing, bytes_per_s)
            waits_ms[place] = left_to_ms(
                cost_ms, queue_ms, firsts, run_ms=run_ms, rule=rule, pace=pace, loads_ms=loads_ms
            )
        ranks = [self._rank_of(place, wait_ms) for place, wait_ms in waits_ms.items()]
        self._cold = _Ranked(link, sorted([*at_once, *ranks]), waits_ms)
        return self._cold

    def _ranked_by_engine(self, machine: MachineState, link: _Link) -> _Ranked:
        """The same for one without a models folder, lane by lane: of those a fleet has few kinds, since their links are not measured."""
        bare = msgspec.structs.replace(machine, held={}, fetching={})
        waits_ms = {place: self._judge(bare, place).wait_ms for place in self._fitting.get(machine.profile, ())}
        return _Ranked(link, sorted(self._rank_of(place, wait_ms) for place, wait_ms in waits_ms.items()), waits_ms)

    def _sides(self, profile: str) -> tuple[list[int], list[int]]:
        """Ranks of the lanes that no holder is free for before anybody could fetch, so that all take them at once; and the others' places."""
        if profile not in self._by_side:
            fitting = self._fitting.get(profile, ())
            open_ = [place for place in fitting if self._asked[place].until_free_ms < self._rule.cap_ms]
            known = set(open_)
            self._by_side[profile] = ([self._asked[place].base for place in fitting if place not in known], open_)
        return self._by_side[profile]

    def _cold_start(self, machine: MachineState, place: int, cold: _Ranked) -> Start:
        if not machine.description.keeps_models:
            return self._judge(machine, place)
        if place not in cold.starts:
            all_bytes = self._asked[place].bytes
            lacking = Lacking(absent=True, left_ms=0.0, missing=all_bytes, unloaded=all_bytes)
            cost_ms = lacking.start_ms(machine.download_bytes_per_s) + self._lag_ms(machine, place)
            cold.starts[place] = Start(cost_ms, cold.waits_ms.get(place, 0))
        return cold.starts[place]

    def _lag_ms(self, machine: MachineState, place: int) -> float:
        """By how much longer the run takes there than on the fastest GPU of the fleet."""
        return self._asked[place].run_ms * (self._paces.of(machine.gpu_class) - self._fastest)

    def _link(self, machine: MachineState) -> _Link:
        """Machines with the same see lanes alike whose models they do not have."""
        pace = self._paces.of(machine.gpu_class)
        return (machine.profile, machine.download_bytes_per_s, pace, supply_key(machine))

    def _judge(self, machine: MachineState, place: int) -> Start:
        """How a machine stands that holds some of the lane's models, or fetches them, or fetches none."""
        need, held, service = self._needs[place], machine.held, self._services[place]
        if all(held.get(name) == "resident" for name, _ in need.anchors):
            return Start(self._lag_ms(machine, place), 0)
        lacking = lacking_of(
            need.anchors,
            held=held,
            fetching=machine.fetching,
            now_ms=self._now_ms,
            may_have=may_have(machine, service),
        )
        lane, better = self._lanes[place], better_than(machine, need.anchors, need.holders, service=service)
        wait_ms = patience_ms(
            lacking.patience_cost_ms(machine.download_bytes_per_s),
            waiting=lane.waiting,
            better=better,
            run_s=lane.run_s,
            rule=self._rule,
            pace=self._paces.of(machine.gpu_class),
            loads_ms=load_ms(lacking.unloaded),
        )
        return Start(lacking.start_ms(machine.download_bytes_per_s) + self._lag_ms(machine, place), wait_ms)


def _asked(place: int, lane: LaneState, need: LaneNeed) -> _Asked:
    better = need.holders.soon
    queue_ms = 1_000 * queue_s(lane.waiting, better, run_s=lane.run_s) if better.slots else math.inf
    return _Asked(
        need.bytes,
        load_ms(need.bytes),
        _base(place, lane),
        1_000 * lane.run_s,
        queue_ms,
        queue_ms + better.left_ms,
        better.firsts,
    )


def _base(place: int, lane: LaneState) -> int:
    """The rank of a lane without its wait class: where nobody waits, it comes after all others."""
    return (0 if lane.waits else _IDLE << _PLACE_BITS) + place


def _lanes_by_model(lanes: Iterable[LaneState]) -> dict[str, list[int]]:
    """Model -> places of the lanes that ask for it."""
    asking: dict[str, list[int]] = {}
    for place, lane in enumerate(lanes):
        for name, _ in lane.anchors:
            asking.setdefault(name, []).append(place)
    return asking


def _places_by_profile(
    lanes: Iterable[LaneState], decided: Mapping[tuple[str, str], bool], present: set[str]
) -> dict[str, dict[int, None]]:
    """Profile -> places of the lanes that it fits, in order; only profiles that are `present`."""
    by_class: dict[str, list[int]] = {}
    for place, lane in enumerate(lanes):
        by_class.setdefault(lane.requirement_class, []).append(place)
    places: dict[str, list[int]] = {}
    for (profile_id, class_id), fits in decided.items():
        if fits and profile_id in present and class_id in by_class:
            places.setdefault(profile_id, []).extend(by_class[class_id])
    return {profile_id: dict.fromkeys(sorted(found)) for profile_id, found in places.items()}
