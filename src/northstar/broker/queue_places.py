"""Where waiting jobs stand, and when machines will take them: the queue's facts and policy's answer."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from northstar.broker.budget_notes import BudgetNotes
from northstar.domain.jobs import JobStatus
from northstar.domain.queue_place import QueuePlace
from northstar.policy.routing.eta import (
    expected_wait_s,
    fit_slots,
    run_times,
    shared_lanes,
    wait_interval_s,
    why_nobody,
)
from northstar.policy.routing.gpu_pace import NO_PACES
from northstar.policy.routing.ready_after import PatienceRule
from northstar.policy.routing.snapshot import CellSnapshot
from northstar.store.latest import read_latest
from northstar.store.pauses import read_pauses
from northstar.store.queue_order import count_before
from northstar.store.snapshots import CellReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from northstar.domain.requirements import RequirementClass
    from northstar.policy.routing.gpu_pace import GpuPaces
    from northstar.policy.routing.snapshot import LaneState
    from northstar.store.cell import Cell
    from northstar.store.messages import InspectedJob
    from northstar.store.pauses import Pause

#: Finished jobs that are looked at for how long a run takes.
RECENT_RUNS: Final = 200
#: Other lanes that are counted in; who has more before it is told that its time is unknown.
MOST_LANES: Final = 256


class QueuePlaces:
    """Places in one cell. What many jobs share (machines, pauses, times of recent runs) is read at most every `view_s` seconds."""

    def __init__(
        self,
        cell: Cell,
        *,
        monotonic: Callable[[], float],
        view_s: float = 1.0,
        rule: PatienceRule | None = None,
        paces: Callable[[], GpuPaces] = lambda: NO_PACES,
    ) -> None:
        """`paces` gives those of the plans that rank the machines, which learn; without them all GPUs count alike."""
        self._paces = paces
        self._cell = cell
        self._reader = CellReader(cell.client, cell.keys)
        self._monotonic = monotonic
        self._view_s = view_s
        self._rule = rule or PatienceRule()
        self._view = CellSnapshot()
        self._runs: list[InspectedJob] = []
        self._pauses: list[Pause] = []
        self._stops = BudgetNotes(cell)
        self._viewed_s = -math.inf

    def held_because(self, tenant: str) -> str:
        """Why the tenant's jobs are held, by the budget that is spent; empty where nobody says so."""
        note = self._stops.all.get(tenant)
        return "" if note is None else note.because

    @property
    def paces(self) -> GpuPaces:
        """What GPUs are known to do at present."""
        return self._paces()

    async def of(self, job: InspectedJob, *, now_ms: int) -> QueuePlace | None:
        """The place of a queued job; None for one that does not wait in a lane. `now_ms` is the cell's time.

        Raises:
            Unavailable: the server does not answer.
        """
        record = job.record
        if record.status != JobStatus.QUEUED:
            return None
        await self._look()
        lane = self._view.lanes.get(record.lane)
        wanted = None if lane is None else self._view.classes.get(lane.requirement_class)
        if lane is None or wanted is None:
            await self._look(anew=True)  # the lane may be younger than the view
            lane = self._view.lanes.get(record.lane)
            wanted = None if lane is None else self._view.classes.get(lane.requirement_class)
        if lane is None or wanted is None:
            return None
        return await self._place(job, lane, wanted, now_ms=now_ms)

    async def view(self) -> tuple[CellSnapshot, dict[str, str]]:
        """The cell that places follow from, and its pauses (scope -> why), at most `view_s` old.

        Raises:
            Unavailable: the server does not answer.
        """
        await self._look()
        return self._view, {pause.scope: pause.because for pause in self._pauses}

    async def _place(self, job: InspectedJob, lane: LaneState, wanted: RequirementClass, *, now_ms: int) -> QueuePlace:
        others = shared_lanes(lane, job.record.order, wanted, self._view)
        before, *elsewhere = await count_before(
            self._cell.client,
            self._cell.keys,
            lanes=[lane.id, *(other.id for other in others[:MOST_LANES])],
            order=job.record.order,
            job_id=job.id,
        )
        slots = fit_slots(
            lane, wanted, self._view, self._rule, waited_ms=now_ms - job.record.submitted_ms, paces=self.paces
        )
        ahead = before + sum(elsewhere)
        why = self._paused(wanted.pool)
        if wanted.is_held:
            why = self.held_because(job.record.tenant)
        eta_s, between = None, None
        if not why and not slots.slots:
            why = why_nobody(wanted, self._view)
        elif not why and len(others) > MOST_LANES:
            why = f"more than {MOST_LANES} other kinds of jobs come before it"
        elif not why:
            runs = run_times(self._runs_of(lane, wanted))
            eta_s = expected_wait_s(ahead, slots, run_s=None if runs is None else runs.mean_s)
            between = wait_interval_s(ahead, slots, runs=runs)
            why = "" if eta_s is not None else "no job like it has finished lately"
        low_s, high_s = between or (None, None)
        return QueuePlace(
            position=before + 1,
            ahead_elsewhere=sum(elsewhere),
            machines=slots.machines,
            eta_s=eta_s,
            eta_low_s=low_s,
            eta_high_s=high_s,
            why=why,
        )

    def _paused(self, pool: str) -> str:
        for pause in self._pauses:
            if pause.scope in {"cell", f"pool:{pool}"}:
                return f"{pause.scope.replace(':', ' ')} is paused ({pause.because})"
        return ""

    async def _look(self, *, anew: bool = False) -> None:
        now_s = self._monotonic()
        if not anew and now_s - self._viewed_s < self._view_s:
            return
        self._view = await self._reader.snapshot()
        self._pauses = await read_pauses(self._cell.client, self._cell.keys)
        await self._stops.look()
        latest = await read_latest(self._cell.client, self._cell.keys, "finished", count=RECENT_RUNS)
        self._runs = list((await self._cell.inspect(latest)).jobs) if latest else []
        self._viewed_s = now_s

    def _runs_of(self, lane: LaneState, wanted: RequirementClass) -> list[float]:
        """Seconds that the lane's recent runs took; if it has none, those of its service."""
        runs: list[float] = []
        alike: list[float] = []
        for job in self._runs:
            record = job.record
            if record.status != JobStatus.SUCCEEDED or not 0 < record.started_ms <= record.finished_ms:
                continue
            run_s = (record.finished_ms - record.started_ms) / 1000
            theirs = self._view.lanes.get(record.lane)
            if record.lane == lane.id:
                runs.append(run_s)
            elif theirs is not None and self._service(theirs) == wanted.service:
                alike.append(run_s)
        return runs or alike

    def _service(self, lane: LaneState) -> str:
        found = self._view.classes.get(lane.requirement_class)
        return "" if found is None else found.service
