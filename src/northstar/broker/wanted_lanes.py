"""A lane as the function library takes it: what it asks for, and policy's ranking of the machines that may serve it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from northstar.domain.requirements import read_anchors, read_class
from northstar.policy.routing.candidates import ranking
from northstar.policy.routing.ranking_terms import NO_TERMS
from northstar.policy.routing.snapshot import ASSUMED_RUN_S, LaneState
from northstar.store.messages import Placement, WantedLane

if TYPE_CHECKING:
    from northstar.domain.requirements import LaneKey
    from northstar.policy.routing.fleet_index import FleetIndex
    from northstar.policy.routing.gpu_pace import GpuPaces
    from northstar.policy.routing.ranking_terms import RankingTerms
    from northstar.policy.routing.ready_after import PatienceRule
    from northstar.policy.routing.snapshot import CellSnapshot


class PlacesLane(Protocol):
    """Ranks machines for a lane, as `wanted_lane` does. Another one is another policy."""

    def __call__(
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
        """The lane, with which machines may take its jobs after how long."""
        ...


def wanted_lane(
    lane: LaneKey,
    snapshot: CellSnapshot | None,
    rule: PatienceRule,
    *,
    index: FleetIndex | None = None,
    run_s: float | None = None,
    terms: RankingTerms = NO_TERMS,
    paces: GpuPaces | None = None,
) -> WantedLane:
    """A lane as the function library takes it; with policy's ranking of the machines in `snapshot`, if given. `index` is one of it.

    `run_s` is how long its first job is expected to run, `paces` how much of that it takes on each class of GPU (`terms` where that is
    not known).
    """
    fits: tuple[tuple[str, bool], ...] = ()
    placements: tuple[Placement, ...] = ()
    if snapshot is not None:
        state = LaneState(
            id="",
            key=lane.key,
            requirement_class="",
            anchors=read_anchors(lane.anchors),
            unfinished=0,
            run_s=run_s or ASSUMED_RUN_S,
        )
        wanted = read_class(lane.requirement_class)
        decided, ranked = ranking(state, wanted, snapshot, rule, index=index, terms=terms, paces=paces)
        fits = tuple(decided)
        placements = tuple(Placement(choice.subject, choice.ready_after_ms, choice.preference) for choice in ranked)
    return WantedLane(
        key=lane.key,
        class_=lane.requirement_class,
        pool=lane.pool,
        vram_mb=lane.vram_mb,
        words=lane.words,
        anchors=lane.anchors,
        fits=fits,
        placements=placements,
    )
