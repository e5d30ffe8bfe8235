"""Moves of waiting jobs out of one lane: brought to the cell with the reason of each, and the models ordered where the jobs go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from northstar.broker.routed import Routed
from northstar.broker.wanted_lanes import PlacesLane, wanted_lane
from northstar.domain.refusals import UnknownWord
from northstar.domain.requirements import LaneKey
from northstar.policy.routing.ready_after import PatienceRule
from northstar.store.messages import Rerouted
from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from northstar.broker.deployment import Deployer
    from northstar.broker.routing import Router
    from northstar.policy.routing.fleet_index import FleetIndex
    from northstar.policy.routing.snapshot import CellSnapshot, LaneState
    from northstar.store.cell import Cell
    from northstar.store.messages import WantedLane

log = logger(__name__)


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """A waiting job, the lane where it belongs now, and why: what whoever watches it is told."""

    job: str
    lane: LaneKey
    because: str
    #: As it is stored; empty: what is stored with the job stays.
    decision: str = ""
    #: How it was routed, by which machines are ranked for it and models brought; None: it was only taken from where it may not wait.
    routed: Routed | None = None
    #: Where it goes while the cell does not know a word that its lane asks for, if it may not stay; None: it stays.
    meanwhile: Move | None = None

    @classmethod
    def of(cls, job: str, routed: Routed) -> Move:
        """To where it was routed, for the reason of that."""
        lane, decision = routed.resolved.request.lane(), routed.decision
        return cls(job=job, lane=lane, because=decision.because, decision=routed.stored(), routed=routed)


class RerouteMoves:
    """Of one cell. What `router` decided is what is brought there; `deployer` has models brought to where jobs go."""

    def __init__(
        self,
        cell: Cell,
        router: Router,
        *,
        new_nonce: Callable[[], str],
        rule: PatienceRule | None = None,
        deployer: Deployer | None = None,
        place: PlacesLane = wanted_lane,
    ) -> None:
        """`place` ranks machines for lanes."""
        self._cell = cell
        self._router = router
        self._new_nonce = new_nonce
        self._rule = rule or PatienceRule()
        self._deployer = deployer
        self._place = place

    async def commit(self, lane: LaneState, moves: Sequence[Move], index: FleetIndex) -> int:
        """Have the jobs moved, those of one reason with one call: the reason is what whoever watches a job is told. Gives how many moved.

        Raises Unavailable; the jobs of the calls before it are moved by then.
        """
        reasons: dict[str, list[Move]] = {}
        wanted: dict[str, WantedLane] = {}
        for move in moves:
            reasons.setdefault(move.because, []).append(move)
            if move.lane.key not in wanted:
                wanted[move.lane.key] = self._wanted_lane(move, lane, index)
        moved = 0
        for because, alike in reasons.items():
            moved += await self._commit_alike(lane, alike, wanted, because=because, index=index)
        return moved

    async def _commit_alike(
        self,
        lane: LaneState,
        moves: Sequence[Move],
        wanted: Mapping[str, WantedLane],
        *,
        because: str,
        index: FleetIndex,
    ) -> int:
        first: dict[str, Move] = {}
        for move in moves:
            first.setdefault(move.lane.key, move)
        numbers = {key: at for at, key in enumerate(first, start=1)}
        lanes = [wanted[key] for key in first]
        jobs = [
            Rerouted(id=move.job, from_=lane.id, lane=numbers[move.lane.key], decision=move.decision) for move in moves
        ]
        try:
            outcomes = await self._cell.reroute(jobs, lanes=lanes, because=because, nonce=self._new_nonce())
        except UnknownWord as exc:
            instead = [move.meanwhile for move in moves if move.meanwhile is not None]
            if not instead:
                raise
            log.warning("terms_ask_for_an_unknown_word", cell=self._cell.name, code=exc.code, error=str(exc))
            lanes_of = {move.lane.key: self._wanted_lane(move, lane, index) for move in instead}
            because = instead[0].because
            return await self._commit_alike(lane, instead, lanes_of, because=because, index=index)
        moved = sum(outcome.word == "ok" for outcome in outcomes)
        if moved:
            log.info("jobs_rerouted", cell=self._cell.name, jobs=moved, lane=lane.id, because=because)
            await self._deploy(list(first.values()), lanes, index.snapshot)
        return moved

    async def _deploy(self, moves: Sequence[Move], lanes: Sequence[WantedLane], snapshot: CellSnapshot) -> None:
        """Have models brought to where jobs go now, as at submit: what was ordered for them elsewhere helps nobody there."""
        if self._deployer is None:
            return
        for move, lane in zip(moves, lanes, strict=True):
            if move.routed is not None and move.routed.deploys:
                await self._deployer.bring(move.routed, [placement.machine for placement in lane.placements], snapshot)

    def _wanted_lane(self, move: Move, lane: LaneState, index: FleetIndex) -> WantedLane:
        routed = move.routed
        return self._place(
            move.lane,
            index.snapshot,
            self._rule,
            index=index,
            run_s=lane.run_s if routed is None else routed.resolved.request.expected_s,
            terms=self._router.ranking_terms(),
            paces=None if routed is None else routed.paces,
        )
