"""What a simulation compares: who ranks machines for lanes, who says what machines may take, and what goes from a full disk.

Everything else is the same for all of them: the queue, its order and its promises, the machines, and the clock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from northstar.broker.planning import changed_candidates
from northstar.broker.wanted_lanes import wanted_lane
from northstar.policy.models.eviction import plan_eviction
from northstar.policy.routing.ranking_terms import NO_TERMS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from northstar.domain.pools import Pools
    from northstar.domain.requirements import LaneKey
    from northstar.policy.models.eviction import Candidate as OnDisk
    from northstar.policy.models.eviction import EvictionPlan, EvictionRule
    from northstar.policy.routing.alike import AlikeMachines
    from northstar.policy.routing.fleet_index import FleetIndex
    from northstar.policy.routing.gpu_pace import GpuPaces
    from northstar.policy.routing.ranking_terms import RankingTerms
    from northstar.policy.routing.ready_after import PatienceRule
    from northstar.policy.routing.snapshot import CellSnapshot
    from northstar.store.messages import Candidate, WantedLane


class FleetPolicy(Protocol):
    """Deterministic: the same calls in the same order give the same answers, with chance drawn from a seed of its own.

    It may remember what it was asked before; a run has a policy of its own.
    """

    @property
    def name(self) -> str:
        """As reports call it."""
        ...

    @property
    def pools(self) -> Pools | None:
        """The pools that hold; None: those of the simulation."""
        ...

    @property
    def orders_models(self) -> bool:
        """Whether models are brought to machines before their jobs come."""
        ...

    def place(
        self,
        lane: LaneKey,
        snapshot: CellSnapshot | None,
        rule: PatienceRule,
        *,
        index: FleetIndex | None = None,
        run_s: float | None = None,
        terms: RankingTerms = NO_TERMS,
        paces: GpuPaces | None = None,
    ) -> WantedLane:
        """A lane at submit, with the machines that may take its jobs, each after how long (`broker.wanted_lanes.wanted_lane`)."""
        ...

    def choose(
        self,
        snapshot: CellSnapshot,
        known: Mapping[str, Collection[Candidate]],
        rule: PatienceRule,
        machines: AlikeMachines | None = None,
        terms: RankingTerms = NO_TERMS,
    ) -> list[tuple[str, list[Candidate]]]:
        """Machines whose candidates change, with the lanes that each may take (`broker.planning.changed_candidates`)."""
        ...

    def evict(
        self, candidates: Sequence[OnDisk], *, need_bytes: int, rule: EvictionRule, names: Mapping[str, str]
    ) -> EvictionPlan:
        """What goes from a machine's disk (`policy.models.eviction.plan_eviction`); `names` are the files' names by candidate."""
        ...


class NorthStar:
    """As deployed."""

    name = "north-star"
    orders_models = True

    def __init__(self, *, pools: Pools | None = None) -> None:
        self.pools = pools
        self.place = wanted_lane
        self.choose = changed_candidates

    def evict(
        self,
        candidates: Sequence[OnDisk],
        *,
        need_bytes: int,
        rule: EvictionRule,
        names: Mapping[str, str],  # noqa: ARG002 -- it goes by worth
    ) -> EvictionPlan:
        """By the worth of a byte."""
        return plan_eviction(candidates, need_bytes=need_bytes, rule=rule)
