"""Waiting jobs of tenants whose budget is spent go where no machine may have them, and come back when there is money again.

A lane holds jobs of several tenants, so it cannot be paused for one. What is held waits in another lane: of the same needs, and for no
machine (`domain.requirements.HELD`). Its order, age, attempts and deadlines stay what they are, so what comes back stands where it stood.
New jobs of such a tenant are submitted there at once, by every broker that has heard of the stop; what comes otherwise (a retry, a job of
a lost machine, one of another cell) is found by the next round.

A round is bounded, and goes on where the last one ended: first the jobs of each lane that would be taken next, then the others.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from northstar.broker.said_once import SaidOnce
from northstar.broker.stored_lanes import StoredLanes
from northstar.domain.budgets import BUDGET_SPENT
from northstar.domain.jobs import JobStatus
from northstar.domain.refusals import QueueRefusal
from northstar.domain.requirements import held_lane
from northstar.policy.routing.ready_after import PatienceRule
from northstar.store.lane_waits import read_jobs_after
from northstar.store.messages import Rerouted, WantedLane
from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from northstar.broker.routing import Router
    from northstar.policy.routing.snapshot import CellSnapshot, LaneState
    from northstar.store.cell import Cell
    from northstar.store.messages import InspectedJob
    from northstar.store.snapshots import CellReader

log = logger(__name__)

#: Jobs that a round looks at while it finds some to move, and of one page of a lane, which is one call; where the round before found none, a
#: fifth of them.
LOOKED_PER_ROUND: Final = 5_000
PAGE: Final = 250
_QUIET: Final = 5
#: What looking at a lane counts for at least.
_LANE: Final = 10
#: Bodies that are read at once, of jobs that come back; they may be large. A round brings back so many jobs.
_BODIES: Final = 50
RELEASED_PER_ROUND: Final = 1_000
_BACK: Final = "there is money for its tenant's jobs again"


class BudgetHolds:
    """Of one cell. Several brokers may do the same at once: whoever comes second finds the job moved."""

    def __init__(
        self,
        cell: Cell,
        router: Router,
        *,
        reader: CellReader,
        new_nonce: Callable[[], str],
        rule: PatienceRule | None = None,
        looked_per_round: int = LOOKED_PER_ROUND,
        page: int = PAGE,
    ) -> None:
        """`router` is this object's own: it says whose work is held, and gives jobs that come back their lanes."""
        self._cell = cell
        self._router = router
        self._reader = reader
        self._new_nonce = new_nonce
        self._rule = rule or PatienceRule()
        self._most = looked_per_round
        self._page = page
        self._to_hold, self._to_release = _Turn(), _Turn()
        self._pausing = ""
        self._stopped: frozenset[str] = frozenset()
        self._found_some = True
        self._lanes: tuple[CellSnapshot, StoredLanes] | None = None
        self._said = SaidOnce()
        #: Whether the last round found nobody stopped and nothing held.
        self.is_idle = False

    async def step(self) -> int:
        """One round; gives how many jobs went to where they are held or came back. Raises Unavailable."""
        stopped = self._router.stops.tenants()
        if stopped != self._stopped:
            # From the first jobs of all lanes on: what stood first comes back first.
            self._stopped, self._found_some = stopped, True
            self._said.forget()
            self._to_hold, self._to_release = _Turn(), _Turn()
        snapshot = await self._reader.snapshot()
        held = {lane.id for lane in snapshot.lanes.values() if lane.waits and _is_held(lane, snapshot)}
        any_held = any(lane.unfinished and _is_held(lane, snapshot) for lane in snapshot.lanes.values())
        most = self._most if self._found_some else max(1, self._most // _QUIET)
        moved = await self._release(held, snapshot, stopped, most=most) if held else 0
        if stopped:
            moved += await self._hold(snapshot, stopped, most=most)
        if stopped or any_held:
            moved += await self._look_at_pausing(snapshot, stopped)
        self.is_idle, self._found_some, self._lanes = not (stopped or any_held), moved > 0, None
        if self.is_idle:
            self._said.forget()
        return moved

    async def _hold(self, snapshot: CellSnapshot, stopped: Collection[str], *, most: int) -> int:
        """What waits in ordinary lanes, the lanes in turn."""
        waiting = {
            lane.id for lane in snapshot.lanes.values() if lane.waits and not _is_held(lane, snapshot, or_barred=True)
        }
        moved = looked_at = 0
        turn = self._to_hold.lanes(waiting)
        while turn and looked_at < most:
            again = []
            for name in turn:
                if looked_at >= most:
                    break
                # What is taken next comes first, in every lane, until none of it is to be held any more.
                found = await read_jobs_after(self._cell.client, self._cell.keys, name, b"", count=self._page)
                held = await self._hold_those(found, snapshot.lanes[name], snapshot, stopped)
                looked_at += max(_LANE, len(found))
                if held and len(found) == self._page:
                    again.append(name)
                elif len(found) == self._page:
                    found = await self._next_page(self._to_hold, name)
                    held = await self._hold_those(found, snapshot.lanes[name], snapshot, stopped)
                    looked_at += len(found)
                self._to_hold.last = name
                moved += held
            turn = again
        return moved

    async def _next_page(self, turn: _Turn, lane: str) -> list[tuple[str, bytes]]:
        """Where the last look at this lane ended; after its last jobs the first again."""
        place = turn.places.get(lane, b"")
        found = await read_jobs_after(self._cell.client, self._cell.keys, lane, place, count=self._page)
        if len(found) < self._page:
            turn.places.pop(lane, None)
        else:
            turn.places[lane] = found[-1][1]
        return found

    async def _hold_those(
        self,
        found: Sequence[tuple[str, bytes]],
        lane: LaneState,
        snapshot: CellSnapshot,
        stopped: Collection[str],
    ) -> int:
        """How many of the jobs of this page are held now."""
        jobs = (await self._cell.inspect([job for job, _ in found])).jobs if found else []
        theirs = [job for job in jobs if job.record.tenant in stopped and job.record.lane == lane.id]
        return await self._held(theirs, lane, snapshot)

    async def _held(self, jobs: Sequence[InspectedJob], lane: LaneState, snapshot: CellSnapshot) -> int:
        """Have jobs of one lane held, those of one tenant with one call, since each is told why."""
        key = held_lane(snapshot.classes[lane.requirement_class], lane.anchors)
        wanted = WantedLane(
            key=key.key,
            class_=key.requirement_class,
            pool=key.pool,
            vram_mb=key.vram_mb,
            words=key.words,
            anchors=key.anchors,
        )
        moved = 0
        for tenant in dict.fromkeys(job.record.tenant for job in jobs):
            note = self._router.stops.of(tenant)
            because = BUDGET_SPENT if note is None else note.because
            ids = [job.id for job in jobs if job.record.tenant == tenant]
            moved += await self._moved([(job, lane.id, wanted) for job in ids], because=because)
        return moved

    async def _release(
        self, held: Collection[str], snapshot: CellSnapshot, stopped: Collection[str], *, most: int
    ) -> int:
        """What waits where it is held, and need not any more."""
        moved = looked_at = 0
        for name in self._to_release.lanes(held):
            is_whole = False
            while not is_whole:
                if looked_at >= most or moved >= RELEASED_PER_ROUND:
                    return moved
                found = await self._next_page(self._to_release, name)
                is_whole = name not in self._to_release.places
                looked_at += max(_LANE, len(found))
                jobs = (await self._cell.inspect([job for job, _ in found])).jobs if found else []
                ids = [job.id for job in jobs if job.record.tenant not in stopped and job.record.lane == name]
                for first in range(0, len(ids), _BODIES):
                    moved += await self._released(ids[first : first + _BODIES], snapshot)
            self._to_release.last = name
        return moved

    async def _released(self, ids: Sequence[str], snapshot: CellSnapshot) -> int:
        lanes = await self._stored_lanes(snapshot)
        jobs = (await self._cell.inspect(ids, bodies=True, decisions=True)).jobs
        wanted = []
        for job in jobs:
            try:
                lane = lanes.of(job.body, job.decision, tenant=job.record.tenant)
            except msgspec.MsgspecError as exc:
                # A newer version wrote its body, and only that one can say where it may run.
                log.debug("not_released", job=job.id, error=str(exc))
                continue
            wanted.append((job.id, job.record.lane, lane))
            # A large body takes a while to read, and leases must be renewed meanwhile.
            await asyncio.sleep(0)
        return await self._moved(wanted, because=_BACK)

    async def _look_at_pausing(self, snapshot: CellSnapshot, stopped: Collection[str]) -> int:
        """The next jobs of the cell that pause after a failed attempt: they come back to their lanes when nobody looks."""
        found = await self._cell.list_jobs("delayed", after=self._pausing, count=self._page)
        self._pausing = found.after
        jobs = (await self._cell.inspect(found.jobs)).jobs if found.jobs else []
        to_hold: dict[str, list[InspectedJob]] = {}
        to_release: list[str] = []
        for job in jobs:
            lane = snapshot.lanes.get(job.record.lane)
            if lane is None or lane.requirement_class not in snapshot.classes or job.record.status != JobStatus.DELAYED:
                continue
            if _is_held(lane, snapshot):
                if job.record.tenant not in stopped:
                    to_release.append(job.id)
            elif job.record.tenant in stopped and not _is_held(lane, snapshot, or_barred=True):
                to_hold.setdefault(lane.id, []).append(job)
        moved = sum([await self._held(some, snapshot.lanes[lane], snapshot) for lane, some in to_hold.items()])
        for first in range(0, len(to_release), _BODIES):
            moved += await self._released(to_release[first : first + _BODIES], snapshot)
        return moved

    async def _stored_lanes(self, snapshot: CellSnapshot) -> StoredLanes:
        """The lanes to which jobs come back, by the fleet of this round; sorted beside the loop, since a large one takes a while."""
        if self._lanes is None or self._lanes[0] is not snapshot:
            self._lanes = (snapshot, await asyncio.to_thread(StoredLanes, snapshot, self._rule, self._router))
        return self._lanes[1]

    async def _moved(self, wanted: Sequence[tuple[str, str, WantedLane]], *, because: str) -> int:
        """Have (job, its lane, where it goes) moved; gives how many were."""
        if not wanted:
            return 0
        lanes = {lane.key: lane for _, _, lane in wanted}
        numbers = {key: at for at, key in enumerate(lanes, start=1)}
        jobs = [Rerouted(id=job, from_=before, lane=numbers[lane.key], decision="") for job, before, lane in wanted]
        try:
            outcomes = await self._cell.reroute(
                jobs, lanes=list(lanes.values()), because=because[:400], nonce=self._new_nonce()
            )
        except QueueRefusal as exc:
            if len(lanes) > 1:  # what is wrong with one lane is no reason to keep the jobs of the others
                parts = [[one for one in wanted if one[2].key == key] for key in lanes]
                return sum([await self._moved(part, because=because) for part in parts])
            # No room for one lane more, or a word that the terms name is not declared yet: each round asks again, and the first one says it.
            if self._said.is_news(exc.code):
                log.warning("budget_not_followed", cell=self._cell.name, code=exc.code, error=str(exc))
            return 0
        moved = sum(outcome.word == "ok" for outcome in outcomes)
        if moved:
            log.info("jobs_held_or_released", cell=self._cell.name, jobs=moved, because=because)
        return moved


class _Turn:
    """Lanes round about, and in each of them where the look at it ended."""

    def __init__(self) -> None:
        self.last = ""
        #: Lane -> the place in it after which the next look goes on; none: at its beginning.
        self.places: dict[str, bytes] = {}

    def lanes(self, names: Collection[str]) -> list[str]:
        """Those after the last one that had its turn, and then the others; what is remembered of lanes that have gone is forgotten."""
        self.places = {lane: place for lane, place in self.places.items() if lane in names}
        return sorted(names, key=lambda name: (name <= self.last, name))


def _is_held(lane: LaneState, snapshot: CellSnapshot, *, or_barred: bool = False) -> bool:
    """Whether the lane is for no machine because of a budget, or for none at all; one that cannot be read is left alone."""
    wanted = snapshot.classes.get(lane.requirement_class)
    if wanted is None:
        return or_barred
    return wanted.is_held or (or_barred and wanted.is_barred)
