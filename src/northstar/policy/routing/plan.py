"""The candidates of every machine of a cell at once: the same answers as `candidates`, with what machines share done once.

What holds a plan small: machines that nothing tells apart are planned for once; holders are counted with one bit for each such
group, so a lane costs a few words of AND; a lane none of whose models a machine has costs the same for all machines of its profile
and link, so these share one ranking, and a group adds only the lanes that ask for something it holds. Where all lanes that fit can be
candidates, a plan looks anew only at pairs of group and lane of which something has changed since the last one.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from northstar.policy.routing.alike import AlikeMachines
from northstar.policy.routing.candidates import (
    HEAD_PLACES,
    MAX_CANDIDATES,
    Choice,
    better_than,
    lane_order,
    service_of,
    wait_class,
)
from northstar.policy.routing.lane_needs import lane_needs
from northstar.policy.routing.lane_places import places_by_model, places_by_profile
from northstar.policy.routing.links import counted_rate
from northstar.policy.routing.model_supply import may_have, supply_key
from northstar.policy.routing.own_choices import OwnChoices, Ranking
from northstar.policy.routing.own_work import OwnWork
from northstar.policy.routing.ranking_terms import NO_TERMS
from northstar.policy.routing.ready_after import (
    Lacking,
    fetch_ms,
    lacking_of,
    left_to_ms,
    load_ms,
    patience_ms,
)
from northstar.policy.routing.seen_lanes import see_lanes
from northstar.policy.routing.start import Start

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from northstar.policy.routing.alike import Alike
    from northstar.policy.routing.ranking_terms import RankingTerms
    from northstar.policy.routing.ready_after import PatienceRule
    from northstar.policy.routing.seen_lanes import Asked
    from northstar.policy.routing.snapshot import CellSnapshot, LaneState, MachineState

#: A rank is one number, so that a million of them are no work for the garbage collector: wait class, then place (this many bits).
_PLACE_BITS = 32
_PLACE = (1 << _PLACE_BITS) - 1
#: Above every wait class: the class of a lane where nobody waits comes after all others.
_IDLE = 64


#: Profile, rate that counts, pace of the GPU, and how it comes by models (`model_supply`).
_Link: TypeAlias = tuple[str, float, float, str]


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
    return _Plan(snapshot, rule, machines, terms).all()


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

    def __init__(
        self, snapshot: CellSnapshot, rule: PatienceRule, machines: AlikeMachines, terms: RankingTerms
    ) -> None:
        self._groups = machines.see(snapshot.machines)
        self._snapshot = snapshot
        self._paces = terms.paces
        self._fastest = terms.paces.fastest(machines.bits.gpus)
        machines.rank_by(rule, terms.paces, self._fastest)
        self._now_ms = snapshot.now_ms
        self._rule = rule
        self._lanes = sorted(snapshot.lanes.values(), key=lane_order)
        needs = lane_needs(self._lanes, machines, snapshot.fits, now_ms=snapshot.now_ms, paces=terms.paces)
        machines.lanes = see_lanes(zip(self._lanes, needs, strict=True), machines.lanes)
        self._seen = list(machines.lanes.values())
        self._bases = [_base(place, lane) for place, lane in enumerate(self._lanes)]
        self._waiting = [place for place, lane in enumerate(self._lanes) if lane.waits]
        self._fitting = places_by_profile(self._lanes, snapshot.fits, {group.example.profile for group in self._groups})
        self._asking: dict[str, list[int]] | None = None
        self._by_side: dict[str, tuple[list[int], list[int]]] = {}
        self._cold: _Ranked | None = None

    def all(self) -> list[tuple[Alike, Ranking]]:
        groups = self._groups
        if any(len(places) > MAX_CANDIDATES for places in self._fitting.values()):
            # Groups with the same link follow each other, so one ranking of cold machines is kept at a time.
            groups = sorted(groups, key=lambda group: self._link(group.example))
        return [(group, self._rank(group)) for group in groups]

    def _rank(self, group: Alike) -> Ranking:
        """Of the lanes that fit the machines at most 64, best first."""
        fitting = self._fitting.get(group.example.profile, {})
        found = (
            self._all_starts(group, fitting) if len(fitting) <= MAX_CANDIDATES else self._best_starts(group, fitting)
        )
        found = self._held_back(group.example, found)
        bases, lanes = self._bases, self._lanes
        best = [
            (wait_class(start.wait_ms) << _PLACE_BITS) + bases[place] if start.wait_ms else bases[place]
            for place, start in found.items()
        ]
        best.sort()
        places = [rank & _PLACE for rank in best]
        ranking = [(found[place].wait_ms, found[place].cost_ms, lanes[place].id) for place in places]
        if ranking != group.ranking:
            group.ranking = ranking
        return group.ranking

    def _all_starts(self, group: Alike, fitting: Iterable[int]) -> dict[int, Start]:
        """How machines stand to all lanes that fit; only what has changed since the last plan is looked at anew."""
        all_seen, starts = self._seen, group.starts
        found: dict[int, Start] = {}
        for place in fitting:
            seen = all_seen[place]
            known = starts.get(seen.lane.id)
            if known is not None and (known[0] is seen.asked or known[0] is seen):
                found[place] = known[1]
            else:
                found[place] = self._start(group, place)
        if len(starts) > 2 * len(found) + MAX_CANDIDATES:
            here = {all_seen[place].lane.id for place in found}
            group.starts = {lane_id: known for lane_id, known in starts.items() if lane_id in here}
        return found

    def _start(self, group: Alike, place: int) -> Start:
        """How a group stands to a lane, remembered with what it follows from unless the time is in it."""
        machine, seen, starts = group.example, self._seen[place], group.starts
        held, fetching, anchors = machine.held, machine.fetching, seen.need.anchors
        if fetching and any(name in fetching for name, _ in anchors):
            starts.pop(seen.lane.id, None)
            return self._judge(machine, place)
        if not machine.description.keeps_models or not anchors or any(name in held for name, _ in anchors):
            start = self._judge(machine, place)
            starts[seen.lane.id] = (seen, start)
            return start
        asked, wait_ms = seen.asked, 0
        if asked.until_free_ms < self._rule.cap_ms:
            wait_ms = self._cold_wait_ms(asked, machine.download_bytes_per_s, self._paces.of(machine.gpu_class))
        start = self._cold_cost(machine, place, wait_ms)
        starts[seen.lane.id] = (asked, start)
        return start

    def _best_starts(self, group: Alike, fitting: dict[int, None]) -> dict[int, Start]:
        """How machines stand to those that they shall have of more lanes than they may have."""
        machine = group.example
        cold = self._ranked_cold(machine)
        known = [*machine.held, *machine.fetching]
        warm = {place for name in known for place in self._places_asking(name) if place in fitting}
        starts = {place: self._judge(machine, place) for place in warm}
        chosen = self._chosen(fitting, cold, starts)
        return {place: starts[place] if place in starts else self._cold_start(machine, place, cold) for place in chosen}

    def _held_back(self, machine: MachineState, found: dict[int, Start]) -> dict[int, Start]:
        """As in `candidates`: what would have to be fetched for stands back behind work of the machine's own."""
        waiting = [place for place in self._waiting if place in found]
        if not waiting:
            return found
        lanes = ((self._lanes[place], found[place].wait_ms) for place in waiting)
        if own := OwnWork(machine, lanes, self._snapshot):
            found |= {place: own.held_back(found[place], self._lanes[place], self._rule) for place in waiting}
        return found

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
        return (wait_class(wait_ms) << _PLACE_BITS) + self._bases[place]

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
        _, bytes_per_s, pace, _ = link
        waits_ms = {place: self._cold_wait_ms(self._seen[place].asked, bytes_per_s, pace) for place in open_}
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
            open_ = [place for place in fitting if self._seen[place].asked.until_free_ms < self._rule.cap_ms]
            known = set(open_)
            self._by_side[profile] = ([self._bases[place] for place in fitting if place not in known], open_)
        return self._by_side[profile]

    def _cold_start(self, machine: MachineState, place: int, cold: _Ranked) -> Start:
        if not machine.description.keeps_models:
            return self._judge(machine, place)
        if place not in cold.starts:
            cold.starts[place] = self._cold_cost(machine, place, cold.waits_ms.get(place, 0))
        return cold.starts[place]

    def _cold_wait_ms(self, asked: Asked, bytes_per_s: float, pace: float) -> int:
        return left_to_ms(
            fetch_ms(asked.bytes, counted_rate(bytes_per_s)),
            asked.queue_ms,
            asked.firsts,
            run_ms=asked.run_ms,
            rule=self._rule,
            pace=pace,
            loads_ms=asked.load_ms,
        )

    def _cold_cost(self, machine: MachineState, place: int, wait_ms: int) -> Start:
        all_bytes = self._seen[place].need.bytes
        lacking = Lacking(absent=True, left_ms=0.0, missing=all_bytes, unloaded=all_bytes)
        return Start(lacking.start_ms(machine.download_bytes_per_s) + self._lag_ms(machine, place), wait_ms)

    def _places_asking(self, model: str) -> list[int]:
        """Of the lanes that ask for a model."""
        if self._asking is None:
            self._asking = places_by_model(self._lanes)
        return self._asking.get(model, [])

    def _lag_ms(self, machine: MachineState, place: int) -> float:
        """By how much longer the run takes there than on the fastest GPU of the fleet."""
        return 1_000 * self._lanes[place].run_s * (self._paces.of(machine.gpu_class) - self._fastest)

    def _link(self, machine: MachineState) -> _Link:
        """Machines with the same see lanes alike whose models they do not have."""
        pace = self._paces.of(machine.gpu_class)
        return (machine.profile, counted_rate(machine.download_bytes_per_s), pace, supply_key(machine))

    def _judge(self, machine: MachineState, place: int) -> Start:
        """How a machine stands that holds some of the lane's models, or fetches them, or fetches none."""
        need, held, lane = self._seen[place].need, machine.held, self._lanes[place]
        service = service_of(lane, self._snapshot)
        if all(held.get(name) == "resident" for name, _ in need.anchors):
            return Start(self._lag_ms(machine, place), 0)
        lacking = lacking_of(
            need.anchors,
            held=held,
            fetching=machine.fetching,
            now_ms=self._now_ms,
            may_have=may_have(machine, service),
        )
        better = better_than(machine, need.anchors, need.holders, service=service)
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


def _base(place: int, lane: LaneState) -> int:
    """The rank of a lane without its wait class: where nobody waits, it comes after all others."""
    return (0 if lane.waits else _IDLE << _PLACE_BITS) + place
