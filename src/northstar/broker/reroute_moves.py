"""Moves of waiting jobs out of one lane: brought to the cell with the reason of each, and the models ordered where the jobs go."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from northstar.broker.wanted_lanes import wanted_lane
from northstar.policy.routing.ready_after import PatienceRule
from northstar.store.messages import Rerouted
from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from northstar.broker.deployment import Deployer
    from northstar.broker.routed import Routed
    from northstar.broker.routing import Router
    from northstar.policy.routing.fleet_index import FleetIndex
    from northstar.policy.routing.snapshot import CellSnapshot, LaneState
    from northstar.store.cell import Cell
    from northstar.store.messages import WantedLane

#: A job by its id, and where it belongs now.
Move: TypeAlias = "tuple[str, Routed]"

log = logger(__name__)


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
    ) -> None:
        self._cell = cell
        self._router = router
        self._new_nonce = new_nonce
        self._rule = rule or PatienceRule()
        self._deployer = deployer

    async def commit(self, lane: LaneState, moves: Sequence[Move], index: FleetIndex) -> int:
        """Have the jobs moved, those of one reason with one call: the reason is what whoever watches a job is told. Gives how many moved.

        Raises Unavailable; the jobs of the calls before it are moved by then.
        """
        reasons: dict[str, list[Move]] = {}
        wanted: dict[str, WantedLane] = {}
        for move in moves:
            _, routed = move
            reasons.setdefault(routed.decision.because, []).append(move)
            key = _lane_of(routed)
            if key not in wanted:
                wanted[key] = self._wanted_lane(routed, index)
        moved = 0
        for because, alike in reasons.items():
            moved += await self._commit_alike(lane, alike, wanted, because=because, snapshot=index.snapshot)
        return moved

    async def _commit_alike(
        self,
        lane: LaneState,
        moves: Sequence[Move],
        wanted: Mapping[str, WantedLane],
        *,
        because: str,
        snapshot: CellSnapshot,
    ) -> int:
        first: dict[str, Routed] = {}
        for _, routed in moves:
            first.setdefault(_lane_of(routed), routed)
        numbers = {key: at for at, key in enumerate(first, start=1)}
        lanes = [wanted[key] for key in first]
        jobs = [
            Rerouted(id=job_id, from_=lane.id, lane=numbers[_lane_of(routed)], decision=routed.stored())
            for job_id, routed in moves
        ]
        outcomes = await self._cell.reroute(jobs, lanes=lanes, because=because, nonce=self._new_nonce())
        moved = sum(outcome.word == "ok" for outcome in outcomes)
        if moved:
            log.info("jobs_rerouted", cell=self._cell.name, jobs=moved, lane=lane.id, because=because)
            await self._deploy(list(first.values()), lanes, snapshot)
        return moved

    async def _deploy(self, routed: Sequence[Routed], lanes: Sequence[WantedLane], snapshot: CellSnapshot) -> None:
        """Have models brought to where jobs go now, as at submit: what was ordered for them elsewhere helps nobody there."""
        if self._deployer is None:
            return
        for one, lane in zip(routed, lanes, strict=True):
            if one.deploys:
                await self._deployer.bring(one, [placement.machine for placement in lane.placements], snapshot)

    def _wanted_lane(self, routed: Routed, index: FleetIndex) -> WantedLane:
        request = routed.resolved.request
        return wanted_lane(
            request.lane(),
            index.snapshot,
            self._rule,
            index=index,
            run_s=request.expected_s,
            terms=self._router.ranking_terms(),
            paces=self._router.paces_of(routed),
        )


def _lane_of(routed: Routed) -> str:
    return routed.resolved.request.lane().key
