"""Waiting jobs whose pool cannot have them any more go where somebody can; those that waited elsewhere go home when their pool can.

Routing decides at submit by the fleet of that moment. Machines go and come, and nobody submits a job twice, so from time to time
the same decision is taken again for jobs that wait where nobody serves them, or wait away from the pool that the matrix wants.
Jobs that were promised a pool, or asked for one, stay.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from northstar.broker.decisions import read_decision
from northstar.broker.submission import wanted_lane
from northstar.domain.errors import NorthstarError
from northstar.domain.jobs import JobBody, JobRequest, JobStatus
from northstar.domain.pools import UNIFORM
from northstar.policy.routing.fleet_index import FleetIndex
from northstar.policy.routing.ready_after import PatienceRule
from northstar.store.lane_waits import read_first_jobs
from northstar.store.messages import Rerouted
from northstar.store.snapshots import CellReader
from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from northstar.broker.catalogue_view import CatalogueView
    from northstar.broker.routing import Routed, Router
    from northstar.domain.decisions import RoutingDecision
    from northstar.domain.requirements import LaneKey
    from northstar.policy.routing.snapshot import CellSnapshot, LaneState
    from northstar.store.cell import Cell
    from northstar.store.messages import InspectedJob, WantedLane

log = logger(__name__)

#: Lanes looked at in one round, and jobs of each; the others come in the rounds after it.
LANES_PER_ROUND: Final = 32
JOBS_PER_LANE: Final = 100
#: The matrix's row of jobs whose submitter named the pool.
_ASKED: Final = "asked"


class Rerouter:
    """Takes decisions again for jobs that wait. Several may run at once: whoever comes second finds the job moved."""

    def __init__(
        self,
        cell: Cell,
        router: Router,
        *,
        new_nonce: Callable[[], str],
        rule: PatienceRule | None = None,
        catalogue: CatalogueView | None = None,
        every_s: float = 2.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`router` is this object's own: its view of the fleet is the one of the round."""
        self._cell = cell
        self._reader = CellReader(cell.client, cell.keys)
        self._router = router
        self._new_nonce = new_nonce
        self._rule = rule or PatienceRule()
        self._catalogue = catalogue
        self._every_s = every_s
        self._sleep = sleep
        self._turn = 0
        #: Whether the router has seen the fleet of this round.
        self._sees = False

    async def run(self) -> None:
        """Until cancelled. A server that does not answer is asked again, with a line in the log."""
        while True:
            await self._sleep(self._every_s)
            try:
                await self.step()
            except NorthstarError as exc:
                log.warning("rerouting_failed", cell=self._cell.name, code=exc.code, error=str(exc))

    async def step(self) -> int:
        """One round; gives how many jobs wait elsewhere now. Raises Unavailable."""
        snapshot = await self._reader.snapshot()
        waiting = [lane for lane in snapshot.lanes.values() if lane.waits]
        if not waiting:
            return 0
        if self._catalogue is not None:
            await self._catalogue.current()
        index = FleetIndex(snapshot)
        served = _served(snapshot)
        self._sees = False
        moved = 0
        for lane in self._some(waiting):
            moved += await self._look_at(lane, index, is_served=lane.requirement_class in served)
        return moved

    def _some(self, lanes: Sequence[LaneState]) -> list[LaneState]:
        """As many as one round looks at, a different part each time, so that all have their turn."""
        first = self._turn % len(lanes)
        self._turn += LANES_PER_ROUND
        return [*lanes[first:], *lanes[:first]][:LANES_PER_ROUND]

    async def _look_at(self, lane: LaneState, index: FleetIndex, *, is_served: bool) -> int:
        # Jobs of one lane were mostly routed alike: where the first is at home and served, nobody looks at the others.
        ids = await read_first_jobs(
            self._cell.client, self._cell.keys, lane.id, count=1 if is_served else JOBS_PER_LANE
        )
        if is_served and ids:
            (first,) = (await self._cell.inspect(ids, decisions=True)).jobs or (None,)
            if first is None or not _is_away(read_decision(first.decision)):
                return 0
            ids = await read_first_jobs(self._cell.client, self._cell.keys, lane.id, count=JOBS_PER_LANE)
        if not ids:
            return 0
        jobs = (await self._cell.inspect(ids, bodies=True, decisions=True)).jobs
        if not self._sees:
            # Where all wait at home, which is mostly so, nobody asks the router, and a large fleet is not counted for nothing.
            await asyncio.to_thread(self._router.see, index.snapshot)
            self._sees = True
        moves = []
        for job in jobs:
            if (move := self._move(job, lane, is_served=is_served)) is not None:
                moves.append(move)
            # A large graph takes tens of milliseconds to read, and leases must be renewed meanwhile.
            await asyncio.sleep(0)
        return await self._commit(lane, moves, index)

    def _move(self, job: InspectedJob, lane: LaneState, *, is_served: bool) -> tuple[str, Routed] | None:
        """Where the job belongs now, if that is elsewhere."""
        before = read_decision(job.decision)
        if job.record.status != JobStatus.QUEUED or before is None or before.guaranteed or before.row == _ASKED:
            return None
        if is_served and not _is_away(before):
            return None
        try:
            routed = self._router.route(_asked(job, before), key=job.record.idempotency_key or job.id)
        except NorthstarError as exc:
            # Pools, terms or the catalogue have changed since, and would refuse it today; it was accepted, so it stays.
            log.debug("not_rerouted", job=job.id, code=exc.code, error=str(exc))
            return None
        except msgspec.MsgspecError as exc:
            # A newer version wrote its body, or a client of its own: that one stays too, and holds up no other.
            log.debug("not_rerouted", job=job.id, error=str(exc))
            return None
        goes_home = routed.decision.route == "matrix"
        if routed.resolved.request.lane().key == lane.key or (is_served and not goes_home):
            return None
        if not is_served and routed.decision.route == "waiting":
            return None
        return job.id, routed

    async def _commit(self, lane: LaneState, moves: Sequence[tuple[str, Routed]], index: FleetIndex) -> int:
        if not moves:
            return 0
        numbers: dict[str, int] = {}
        lanes, jobs = [], []
        for job_id, routed in moves:
            key = routed.resolved.request.lane()
            if key.key not in numbers:
                lanes.append(self._wanted_lane(key, index, routed.resolved.request.expected_s))
                numbers[key.key] = len(lanes)
            jobs.append(Rerouted(id=job_id, from_=lane.id, lane=numbers[key.key], decision=routed.stored()))
        because = moves[0][1].decision.because
        outcomes = await self._cell.reroute(jobs, lanes=lanes, because=because, nonce=self._new_nonce())
        moved = sum(outcome.word == "ok" for outcome in outcomes)
        if moved:
            log.info("jobs_rerouted", cell=self._cell.name, jobs=moved, lane=lane.id, because=because)
        return moved

    def _wanted_lane(self, lane: LaneKey, index: FleetIndex, run_s: float | None) -> WantedLane:
        prefers_edge = self._router.prefers_edge(lane.pool)
        return wanted_lane(lane, index.snapshot, self._rule, index=index, run_s=run_s, prefers_edge=prefers_edge)


def _served(snapshot: CellSnapshot) -> set[str]:
    """Classes that some machine which takes work can serve."""
    profiles = {machine.profile for machine in snapshot.machines.values() if machine.active}
    return {class_id for (profile, class_id), fits in snapshot.fits.items() if fits and profile in profiles}


def _is_away(decision: RoutingDecision | None) -> bool:
    """Whether the job waits in another pool than the matrix wants; a pool that is not in use for it is none."""
    return decision is not None and decision.optimal not in {decision.pool, UNIFORM}


def _asked(job: InspectedJob, before: RoutingDecision) -> JobRequest:
    """The job as if it were submitted now, without a pool. Its priority and cost are in the queue already and do not change.

    What its submitter said of its time is known from the decision that went by it.
    """
    declared = before.estimate.source == "declared"
    body = msgspec.json.decode(job.body, type=JobBody)
    return JobRequest(
        service=body.service,
        payload=body.payload,
        requires=body.requires,
        tenant=job.record.tenant,
        user=body.user,
        speciality=body.speciality,
        expected_s=before.estimate.p50_s if declared and before.estimate.p50_s > 0 else None,
    )
