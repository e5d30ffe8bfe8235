"""Waiting jobs whose pool cannot have them any more go where somebody can, those that waited elsewhere home, and none stays against its terms.

Routing decides at submit by the fleet of that moment. Machines go and come, and nobody submits a job twice, so from time to time
the same decision is taken again for jobs that wait where nobody serves them, or wait away from the pool that the matrix wants.
Jobs that were promised a pool, or asked for one, stay; but nobody stays where the terms of its tenant forbid it by now (`NarrowedTerms`).

A round is bounded: so many lanes, so many jobs of each, and so much processor time. The next one goes on where it ended, lane by lane and,
in each lane, job by job, so that every waiting job has its turn however many there are.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import msgspec

from northstar.broker.asked_again import asked_again
from northstar.broker.decisions import read_decision
from northstar.broker.narrowed_terms import NarrowedTerms
from northstar.broker.reroute_moves import Move, RerouteMoves
from northstar.broker.reroute_turns import ProcessorTime, Turns
from northstar.broker.wanted_lanes import PlacesLane, wanted_lane
from northstar.domain.decisions import NAMED
from northstar.domain.errors import NorthstarError
from northstar.domain.jobs import UNROUTED, JobBody, JobStatus
from northstar.domain.pools import UNIFORM
from northstar.policy.routing.fleet_index import FleetIndex
from northstar.policy.routing.pool_capacity import FleetCapacity
from northstar.store.lane_waits import read_first_jobs
from northstar.store.snapshots import CellReader
from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from northstar.broker.catalogue_view import CatalogueView
    from northstar.broker.deployment import Deployer
    from northstar.broker.routed import Routed
    from northstar.broker.routing import Router
    from northstar.domain.decisions import RoutingDecision
    from northstar.policy.routing.ready_after import PatienceRule
    from northstar.policy.routing.snapshot import CellSnapshot, LaneState
    from northstar.store.cell import Cell
    from northstar.store.messages import InspectedJob

log = logger(__name__)

#: Lanes looked at in one round, and jobs of each; the others come in the rounds after it.
LANES_PER_ROUND: Final = 32
JOBS_PER_LANE: Final = 100
#: Where a machine serves the lane most are at home, and only their decisions are read.
SERVED_PER_LANE: Final = 50
#: Processor time that looking at jobs may take in one round, seconds: a tenth of what passes until the next.
BUDGET_S: Final = 0.2
#: Bodies that are read at once; they may be large.
_AT_ONCE: Final = 25
#: Its row while pools are switched off.
_SWITCHED_OFF: Final = "uniform"


class _Round(msgspec.Struct, kw_only=True):
    """What one round goes by. The fleet is sorted and counted only once a job is looked at closely."""

    snapshot: CellSnapshot
    served: frozenset[str]
    time: ProcessorTime
    terms: NarrowedTerms
    index: FleetIndex | None = None

    def may_not_stay(self, job: InspectedJob) -> bool:
        """Whether its tenant's terms forbid it where it waits, or it waits there because it may run nowhere."""
        lane = self.snapshot.lanes.get(job.record.lane)
        wanted = None if lane is None else self.snapshot.classes.get(lane.requirement_class)
        return self.terms.concerns(job.record.tenant, wanted)


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
        deployer: Deployer | None = None,
        every_s: float = 2.0,
        budget_s: float = BUDGET_S,
        processor_s: Callable[[], float] = time.thread_time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        reader: CellReader | None = None,
        place: PlacesLane = wanted_lane,
    ) -> None:
        """`router` is this object's own: its view of the fleet is the one of the round. `deployer` has models brought to where jobs go.

        `processor_s` is the processor time of this thread, of which one round may take `budget_s`. `reader` may be shared; `place` ranks machines for lanes.
        """
        self._cell = cell
        self._reader = reader or CellReader(cell.client, cell.keys)
        self._router = router
        self._moves = RerouteMoves(cell, router, new_nonce=new_nonce, rule=rule, deployer=deployer, place=place)
        self._catalogue = catalogue
        self._every_s = every_s
        self._budget_s = budget_s
        self._processor_s = processor_s
        self._sleep = sleep
        self._turns = Turns(cell.client, cell.keys)

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
        waiting = {lane.id: lane for lane in snapshot.lanes.values() if lane.waits and not _is_held(lane, snapshot)}
        terms = NarrowedTerms(self._router)
        if not waiting and not terms.limits_anybody:
            return 0
        if self._catalogue is not None:
            await self._catalogue.current()
        looking = _Round(
            snapshot=snapshot,
            served=_served(snapshot),
            time=ProcessorTime(self._budget_s, self._processor_s),
            terms=terms,
        )
        moved = await self._look_at_pausing(looking) if terms.limits_anybody else 0
        for name in self._turns.lanes(waiting, count=LANES_PER_ROUND):
            if looking.time.is_spent:
                break
            self._turns.looked_at(name)
            moved += await self._look_at(waiting[name], looking)
        return moved

    async def _look_at(self, lane: LaneState, looking: _Round) -> int:
        """One turn of a lane: its next jobs, and its first ones, which are the most urgent."""
        is_served = lane.requirement_class in looking.served
        turn = await self._turns.jobs(lane.id, count=SERVED_PER_LANE if is_served else JOBS_PER_LANE)
        first = await read_first_jobs(self._cell.client, self._cell.keys, lane.id, count=_AT_ONCE)
        ids = list(dict.fromkeys([*turn.ids, *first]))
        if is_served and ids:
            # Where jobs are at home, served and within their terms, which is mostly so, nobody reads their bodies.
            jobs = (await self._cell.inspect(ids, decisions=True)).jobs
            closely = {job.id for job in jobs if self._is_in_the_wrong_place(job, looking)}
            ids = [job for job in ids if job in closely]
        moves: list[Move] = []
        for at in range(0, len(ids), _AT_ONCE):
            jobs = (await self._cell.inspect(ids[at : at + _AT_ONCE], bodies=True, decisions=True)).jobs
            if looking.index is None:
                await self._see(looking)
            for job in jobs:
                with looking.time:
                    move = self._move(job, lane, looking, is_served=is_served)
                if move is not None:
                    moves.append(move)
                if looking.time.is_spent:
                    turn.ends_at(job.id)
                    return await self._commit(lane, moves, looking)
                # A large graph takes tens of milliseconds to read, and leases must be renewed meanwhile.
                await asyncio.sleep(0)
        return await self._commit(lane, moves, looking)

    async def _commit(self, lane: LaneState, moves: Sequence[Move], looking: _Round) -> int:
        return await self._moves.commit(lane, moves, looking.index) if looking.index is not None else 0

    async def _see(self, looking: _Round) -> None:
        """Sort and count the fleet of this round, beside the loop: a large one takes a while."""
        snapshot, paces = looking.snapshot, self._router.ranking_terms().paces
        self._router.view_begins()
        index, capacity = await asyncio.to_thread(
            lambda: (FleetIndex(snapshot, paces=paces).sorted_as(None), FleetCapacity(snapshot))
        )
        looking.index = index
        self._router.decide_by(capacity, index)

    async def _look_at_pausing(self, looking: _Round) -> int:
        """The next jobs of the cell that pause after a failed attempt: they come back to their lanes when nobody looks."""
        ids = await self._turns.pausing(self._cell, count=_AT_ONCE)
        found = (await self._cell.inspect(ids)).jobs if ids else []
        with looking.time:
            closely = [job.id for job in found if looking.may_not_stay(job)]
        moves: dict[str, list[Move]] = {}
        for job in (await self._cell.inspect(closely, bodies=True, decisions=True)).jobs if closely else []:
            if looking.index is None:
                await self._see(looking)
            lane = looking.snapshot.lanes.get(job.record.lane)
            if lane is None or job.record.status != JobStatus.DELAYED:
                continue
            if self._router.stops.of(job.record.tenant) is not None:
                continue
            with looking.time:
                move = self._within_terms(job, lane, looking)
            if move is not None:
                moves.setdefault(lane.id, []).append(move)
            if looking.time.is_spent:
                self._turns.pausing_ends_at(job.id)
                break
            await asyncio.sleep(0)
        return sum([await self._commit(looking.snapshot.lanes[lane], some, looking) for lane, some in moves.items()])

    def _is_in_the_wrong_place(self, job: InspectedJob, looking: _Round) -> bool:
        with looking.time:
            return looking.may_not_stay(job) or _is_away(read_decision(job.decision))

    def _within_terms(self, job: InspectedJob, lane: LaneState, looking: _Round) -> Move | None:
        wanted = looking.snapshot.classes[lane.requirement_class]
        return looking.terms.move(job, lane, wanted, read_decision(job.decision))

    def _move(self, job: InspectedJob, lane: LaneState, looking: _Round, *, is_served: bool) -> Move | None:
        """Where the job belongs now, if that is elsewhere."""
        # What is about to be held goes nowhere else before that.
        if job.record.status != JobStatus.QUEUED or self._router.stops.of(job.record.tenant) is not None:
            return None
        if looking.may_not_stay(job):
            return self._within_terms(job, lane, looking)
        return self._routed_again(job, lane, is_served=is_served)

    def _routed_again(self, job: InspectedJob, lane: LaneState, *, is_served: bool) -> Move | None:
        before = read_decision(job.decision)
        if before is not None and (before.guaranteed or before.row == NAMED):
            return None
        if is_served and not _is_away(before):
            return None
        try:
            if before is None and not (self._router.pools_are_off and _was_left_where_it_is(job)):
                return None
            request = asked_again(job.body, tenant=job.record.tenant, before=before)
            routed = self._router.route(request, key=job.record.idempotency_key or job.id).keeping(before)
        except NorthstarError as exc:
            # Pools, terms or the catalogue have changed since, and would refuse it today; it was accepted, so it stays.
            log.debug("not_rerouted", job=job.id, code=exc.code, error=str(exc))
            return None
        except msgspec.MsgspecError as exc:
            # A newer version wrote its body, or a client of its own: that one stays too, and holds up no other.
            log.debug("not_rerouted", job=job.id, error=str(exc))
            return None
        if _stays(routed, lane, before, is_served=is_served):
            return None
        self._router.gave(routed)
        return Move.of(job.id, routed)


def _is_held(lane: LaneState, snapshot: CellSnapshot) -> bool:
    """Whether it waits for money, which is none of our business (`budget_holds`)."""
    wanted = snapshot.classes.get(lane.requirement_class)
    return wanted is not None and wanted.is_held


def _served(snapshot: CellSnapshot) -> frozenset[str]:
    """Classes that some machine which takes work can serve."""
    profiles = {machine.profile for machine in snapshot.machines.values() if machine.takes_work}
    return frozenset(class_id for (profile, class_id), fits in snapshot.fits.items() if fits and profile in profiles)


def _is_away(decision: RoutingDecision | None) -> bool:
    """Whether the job waits in another pool than the matrix wants; a pool that is not in use for it is none."""
    return decision is not None and decision.optimal not in {decision.pool, UNIFORM}


def _stays(routed: Routed, lane: LaneState, before: RoutingDecision | None, *, is_served: bool) -> bool:
    """Whether a job is not moved by what was decided for it now."""
    route = routed.decision.route
    if routed.resolved.request.lane().key == lane.key or (route != "matrix" if is_served else route == "waiting"):
        return True
    # What nobody has routed only goes to any machine, and never into a pool.
    return before is None and routed.decision.row != _SWITCHED_OFF


def _was_left_where_it_is(job: InspectedJob) -> bool:
    """Whether nobody has routed the job, and it waits where such jobs wait that ask for no pool."""
    return not job.decision and msgspec.json.decode(job.body, type=JobBody).pool == UNROUTED
