"""What a job finds among the machines of a cell when its pool is decided: who has it done first, and who cannot have it, and why.

Machines are looked at by profile, and the answer for a lane is remembered as long as the view of the fleet lives, so a job costs what
its lane costs once: the number of profiles, never that of machines.
"""

from __future__ import annotations

import heapq
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from northstar.domain.decisions import ExpectedOn, MachinesThen, TurnedDown
from northstar.domain.requirements import UNIFORM, read_anchors, read_class
from northstar.policy.routing.crowds import MOST_NAMES, STANDINGS, Crowd, Standing, crowds_of
from northstar.policy.routing.eta import Here
from northstar.policy.routing.explain_fit import NOWHERE_NEAR, UNREADABLE, Nearness, is_fixed, need_of
from northstar.policy.routing.explain_nearest import can_be_mended
from northstar.policy.routing.explain_remedies import Standstill
from northstar.policy.routing.explain_submit import standstill_at_submit
from northstar.policy.routing.fit import decide_fit, not_in_pool
from northstar.policy.routing.gpu_pace import NO_PACES
from northstar.policy.routing.machine_choice import JobNeed
from northstar.policy.routing.pool_entry import PoolEntry
from northstar.policy.routing.ranking_terms import NO_TERMS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from northstar.domain.machines import MachineProfile
    from northstar.domain.pools import Pools
    from northstar.domain.reasons import Need
    from northstar.domain.requirements import LaneKey, RequirementClass
    from northstar.policy.routing.fleet_index import FleetIndex
    from northstar.policy.routing.gpu_pace import GpuPaces
    from northstar.policy.routing.pool_capacity import FleetCapacity
    from northstar.policy.routing.ranking_terms import RankingTerms
    from northstar.policy.routing.snapshot import MachineState

#: Machines that are told with their times: the chosen one and its runners-up.
MOST_BEST: Final = 3
#: Groups of machines that could not have the job.
MOST_GROUPS: Final = 4
_SAYS_CHARS: Final = 96
#: Lanes whose answers are remembered; clients choose what they ask for.
_MOST_KEPT: Final = 2_048


class _Found(NamedTuple):
    """Machines of one profile that cannot have the job: what they lack beside the pool, and whether they are in one that would do.

    They sort by how near they come. Those that lack nothing are of one standing; the others are all of the profile.
    """

    near: Nearness
    profile: str
    reasons: tuple[str, ...]
    is_in: bool
    standings: tuple[Standing, ...] = STANDINGS


class _Others(NamedTuple):
    """Of a class, how many machines fit, and those that do not, in groups, the closest first; the same however long its jobs run."""

    fit: int
    turned_down: tuple[TurnedDown, ...]
    more_turned_down: int


class Considered:
    """The machines of one view, as lanes see them; `index` and `fleet` are of that view."""

    def __init__(self, index: FleetIndex, fleet: FleetCapacity) -> None:
        self._index = index
        self._fleet = fleet
        self._crowds: dict[str, Crowd] | None = None
        self._best: dict[tuple[str, str, tuple[float, ...], bool], tuple[tuple[ExpectedOn, str], ...]] = {}
        self._known_others: dict[str, _Others] = {}
        self._standstills: dict[tuple[str, tuple[str, ...]], Standstill] = {}
        #: The rules by which those were found.
        self._entry = PoolEntry()

    def machines(
        self, lane: LaneKey, *, run_s: float, paces: GpuPaces = NO_PACES, terms: RankingTerms = NO_TERMS
    ) -> MachinesThen:
        """Who would have a job of this lane done first, if it ran so long, and who could not have it.

        `paces` and `terms` are those by which the machines of its lane are ranked (`candidates.ranking`): what this very job takes on each class
        of GPU, and whose work goes to machines near its users.
        """
        best, others = self._first(lane, run_s, paces, terms), self._others(lane.requirement_class)
        return MachinesThen(
            best=best,
            more_fit=others.fit - len(best),
            turned_down=others.turned_down,
            more_turned_down=others.more_turned_down,
        )

    def _first(self, lane: LaneKey, run_s: float, paces: GpuPaces, terms: RankingTerms) -> tuple[ExpectedOn, ...]:
        by_class = {name: run_s * paces.of(name) for name in self._index.gpu_classes} if paces.factors else {}
        # Who is first depends on how much longer the run takes on one GPU than on another: where all count alike, jobs of every length
        # share one answer.
        fastest_s = min(by_class.values(), default=0.0)
        lags = tuple(seconds - fastest_s for seconds in by_class.values())
        is_near = lane.pool in terms.near
        key = (lane.requirement_class, lane.anchors, lags if any(lags) else (), is_near)
        found = self._best.get(key)
        if found is None:
            if len(self._best) >= _MOST_KEPT:
                self._best.clear()
            far = terms.far_profiles(self._index.snapshot) if is_near else frozenset[str]()
            found = self._best[key] = self._look(lane, run_s, by_class, far)
        return tuple(
            msgspec.structs.replace(one, run_s=_short(by_class.get(gpu_class, run_s))) for one, gpu_class in found
        )

    def _others(self, class_text: str) -> _Others:
        if class_text not in self._known_others:
            if len(self._known_others) >= _MOST_KEPT:
                self._known_others.clear()
            wanted = read_class(class_text)
            groups = self._groups(wanted)
            self._known_others[class_text] = _Others(
                fit=self._index.fitting(wanted).bit_count(),
                turned_down=tuple(groups[:MOST_GROUPS]),
                more_turned_down=sum(group.count for group in groups[MOST_GROUPS:]),
            )
        return self._known_others[class_text]

    def standstill(
        self,
        lane: LaneKey,
        *,
        pools: tuple[str, ...] = (),
        of_this_host: Collection[str] = (),
        rules: Pools | None = None,
    ) -> Standstill:
        """Why nobody can run jobs of the lane, in its pool or one of `pools`, and what would have to change; empty if somebody can.

        `of_this_host` are always the same. `rules` are the pools as they hold now: no machine is advised to enter one that would refuse it.
        """
        if rules is not self._entry.pools:
            self._entry = PoolEntry.of(rules, self._index.snapshot)
            self._standstills.clear()
        key = (lane.requirement_class, pools)
        if key not in self._standstills:
            if len(self._standstills) >= _MOST_KEPT:
                self._standstills.clear()
            wanted = read_class(lane.requirement_class)
            if self._index.fitting(wanted):
                return Standstill()
            self._standstills[key] = standstill_at_submit(
                wanted,
                self._speakers(wanted, pools),
                self._index.snapshot,
                pools=pools,
                here=self._here(),
                of_this_host=of_this_host,
                entry=self._entry,
            )
        return self._standstills[key]

    def _look(
        self, lane: LaneKey, run_s: float, by_class: dict[str, float], far: frozenset[str]
    ) -> tuple[tuple[ExpectedOn, str], ...]:
        """The first machines with the classes of their GPUs; how long they run is left out."""
        wanted, models = read_class(lane.requirement_class), read_anchors(lane.anchors)
        need = JobNeed(wanted=wanted, models=models, run_s=by_class, run_elsewhere_s=run_s)
        return tuple(
            (
                ExpectedOn(
                    machine=one.machine,
                    wait_s=_short(one.completion.wait_s),
                    fetch_s=_short(one.completion.fetch_s),
                    load_s=_short(one.completion.load_s),
                    left_to_engine=one.left_to_engine,
                ),
                self._index.snapshot.machines[one.machine].gpu_class,
            )
            for one in self._index.ranked(need, MOST_BEST, far=far)
        )

    def _groups(self, wanted: RequirementClass) -> list[TurnedDown]:
        """Machines that cannot have such jobs, by the needs that they do not meet; those that come closest first."""
        by_needs: dict[tuple[bool, tuple[Need, ...], tuple[Standing, ...]], list[_Found]] = {}
        for found in self._turned_down(wanted, (wanted.pool,)):
            by_needs.setdefault((found.is_in, _needs(found.reasons), found.standings), []).append(found)
        groups = [(min(members), self._group(wanted, members)) for members in by_needs.values()]
        groups.sort(key=lambda entry: (entry[0].near.needs, -entry[1].count, entry[1].code))
        return [group for _, group in groups]

    def _group(self, wanted: RequirementClass, members: list[_Found]) -> TurnedDown:
        """Profiles whose machines lack the same kinds of things; the closest one speaks for all."""
        nearest = heapq.nsmallest(MOST_NAMES, members)
        closest, crowds = nearest[0], self._all()
        reasons, needs = closest.reasons, _needs(closest.reasons)
        offered = crowds[closest.profile].offered
        if not closest.is_in and offered is not None:
            reasons, needs = (not_in_pool(offered, wanted.pool), *reasons), ("pool", *needs)
        some = [machine for one in nearest for machine in crowds[one.profile].some(*one.standings)]
        said = ", ".join(reasons) or f"fits, and {some[0].out_because or 'drains'}"
        return TurnedDown(
            code="+".join(dict.fromkeys(needs)) or closest.standings[0],
            count=sum(crowds[one.profile].count(*one.standings) for one in members),
            names=tuple(machine.id for machine in some[:MOST_NAMES]),
            says=said if len(said) <= _SAYS_CHARS else said[: _SAYS_CHARS - 1] + "…",
        )

    def _turned_down(self, wanted: RequirementClass, pools: Collection[str]) -> Iterator[_Found]:
        """Profiles with machines that cannot have such jobs in any of the pools; those that fit and take no work lack nothing."""
        told, anywhere = self._fleet.lacks(wanted), wanted.pool == UNIFORM
        for profile, crowd in self._all().items():
            offered = crowd.offered
            if offered is None:
                yield _Found(NOWHERE_NEAR, profile, (UNREADABLE.says,), is_in=True)
                continue
            reasons = told.get(profile)
            if reasons is None:
                own = wanted if anywhere else msgspec.structs.replace(wanted, pool=offered.pools[0])
                reasons = decide_fit(offered, own, self._index.snapshot.node_sets).reasons
            is_in = anywhere or not crowd.pools.isdisjoint(pools)
            near = _near(crowd, offered, _needs(reasons), wanted, is_in=is_in)
            if reasons or not is_in:
                yield _Found(near, profile, reasons, is_in)
                continue
            for standing in STANDINGS[1:]:
                if crowd.count(standing):
                    yield _Found(near, profile, reasons, is_in, (standing,))

    def _speakers(self, wanted: RequirementClass, pools: tuple[str, ...]) -> list[MachineState]:
        """The machines that say all about why nobody can have such jobs: those that fit and take none, the closest, and the closest to be mended."""
        found = sorted(self._turned_down(wanted, (wanted.pool, *pools)))
        crowds = self._all()
        some = [one for one in found if not one.near.needs]
        some += [one for one in found if crowds[one.profile].count("working")][:1] or found[:1]
        some += [one for one in found if one.near.needs and self._can_be_mended(one, wanted)][:1]
        return [
            machine
            for one in some
            for machine in (
                *crowds[one.profile].some("working")[:1],
                *crowds[one.profile].some("draining", "out_of_work"),
            )
        ]

    def _can_be_mended(self, one: _Found, wanted: RequirementClass) -> bool:
        """Whether a machine of the profile can be made fit, and its pool would let it in if that is what it lacks."""
        crowd = self._all()[one.profile]
        if not can_be_mended(one.near) or crowd.offered is None:
            return False
        if one.is_in:
            return True
        offered = crowd.offered
        some = crowd.some(*STANDINGS)
        return any(not self._entry.refusal(machine, offered, wanted.pool) for machine in some)

    def _here(self) -> Here:
        """How many machines there are, and what pools they serve."""
        crowds = self._all().values()
        pools = {pool for crowd in crowds if crowd.offered is not None for pool in crowd.offered.pools}
        return Here(
            working=sum(crowd.count("working") for crowd in crowds),
            pools=tuple(sorted(pools)),
            out=sum(crowd.count("out_of_work") for crowd in crowds),
        )

    def _all(self) -> dict[str, Crowd]:
        """The machines by profile."""
        if self._crowds is None:
            self._crowds = crowds_of(self._index.snapshot)
        return self._crowds


@lru_cache(maxsize=_MOST_KEPT)
def _needs(reasons: tuple[str, ...]) -> tuple[Need, ...]:
    return tuple(need_of(reason) for reason in reasons)


def _near(
    crowd: Crowd, offered: MachineProfile, needs: tuple[Need, ...], wanted: RequirementClass, *, is_in: bool
) -> Nearness:
    """As `explain_fit.nearness`, for very many."""
    is_apart = (crowd.is_kept and not is_in) or (
        offered.dedicated_to is not None and offered.dedicated_to != wanted.isolation
    )
    return Nearness(len(needs) + (not is_in), is_apart, sum(map(is_fixed, needs)), -offered.vram_mb)


def _short(seconds: float) -> float:
    """A time as exactly as anybody reads it: tenths below 100 s, whole seconds beyond."""
    return round(seconds, 1) if seconds < 100 else float(round(seconds))
