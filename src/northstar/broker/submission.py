"""Taking jobs in: lane, policy's ranking of machines for it, one atomic call."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from northstar.broker.requests import check_batch
from northstar.domain.requirements import read_anchors, read_class
from northstar.policy.routing.candidates import ranking
from northstar.policy.routing.ready_after import PatienceRule
from northstar.policy.routing.snapshot import CellSnapshot, LaneState
from northstar.store.messages import Placement, Submitted, WantedJob, WantedLane
from northstar.store.snapshots import read_snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from northstar.domain.jobs import JobRequest
    from northstar.domain.requirements import LaneKey
    from northstar.store.cell import Cell


def _ms(seconds: float | None) -> int:
    return 0 if seconds is None else max(1, math.ceil(seconds * 1000))


def wanted_job(request: JobRequest, *, job_id: str, lane: int, weight: float) -> WantedJob:
    """A request as the function library takes it."""
    return WantedJob(
        id=job_id,
        lane=lane,
        tenant=request.tenant,
        weight=weight,
        cost=request.expected_s,
        priority=request.priority,
        max_attempts=request.retry.max_attempts,
        max_recoveries=request.retry.max_recoveries,
        start_within_ms=_ms(request.start_within_s),
        finish_within_ms=_ms(request.finish_within_s),
        backoff_base_ms=math.ceil(request.retry.backoff_s * 1000),
        backoff_cap_ms=math.ceil(request.retry.backoff_cap_s * 1000),
        retention_ms=_ms(request.retention_s),
        idempotency_key=request.idempotency_key or "",
        digest=request.digest(),
        body=request.body().decode(),
    )


def wanted_lane(lane: LaneKey, snapshot: CellSnapshot | None, rule: PatienceRule) -> WantedLane:
    """A lane as the function library takes it; with policy's ranking of the machines in `snapshot`, if given."""
    fits: tuple[tuple[str, bool], ...] = ()
    placements: tuple[Placement, ...] = ()
    if snapshot is not None:
        state = LaneState(id="", key=lane.key, requirement_class="", anchors=read_anchors(lane.key), unfinished=0)
        decided, ranked = ranking(state, read_class(lane.requirement_class), snapshot, rule)
        fits = tuple(decided)
        placements = tuple(Placement(choice.subject, choice.ready_after_ms, choice.preference) for choice in ranked)
    return WantedLane(
        key=lane.key,
        class_=lane.requirement_class,
        pool=lane.pool,
        vram_mb=lane.vram_mb,
        words=lane.words,
        fits=fits,
        placements=placements,
    )


class Submitter:
    """Submits to one cell. Ids, nonces and the clock are given, so that a run can be repeated exactly.

    Policy's view of the machines is read at most every `view_s` seconds; only lanes that are not placed in it carry a ranking.
    """

    def __init__(
        self,
        cell: Cell,
        *,
        new_id: Callable[[], str],
        monotonic: Callable[[], float],
        weights: dict[str, float] | None = None,
        rule: PatienceRule | None = None,
        view_s: float = 1.0,
    ) -> None:
        self._cell = cell
        self._new_id = new_id
        self._monotonic = monotonic
        self._weights = weights or {}
        self._rule = rule or PatienceRule()
        self._view_s = view_s
        self._view: CellSnapshot | None = None
        self._viewed_s = -math.inf
        self._placed: set[str] = set()

    async def submit(self, requests: Sequence[JobRequest]) -> list[Submitted]:
        """Accept all of them or none.

        Safe to repeat after an Unavailable when the requests carry ids or idempotency keys.

        Raises:
            BatchTooLarge, DuplicateId, and the refusals of `submit.lua` (`northstar.domain.refusals`)
        """
        check_batch(list(requests))
        await self._refresh_view()
        numbers: dict[str, int] = {}
        lanes: list[WantedLane] = []
        jobs: list[WantedJob] = []
        for request in requests:
            lane = request.lane()
            if lane.key not in numbers:
                lanes.append(wanted_lane(lane, None if lane.key in self._placed else self._view, self._rule))
                numbers[lane.key] = len(lanes)
            job_id = request.id or f"job_{self._new_id()}"
            weight = self._weights.get(request.tenant, 1.0)
            jobs.append(wanted_job(request, job_id=job_id, lane=numbers[lane.key], weight=weight))
        accepted = await self._cell.submit(jobs=jobs, lanes=lanes, nonce=self._new_id()[-16:])
        self._placed.update(numbers)
        return accepted

    async def _refresh_view(self) -> None:
        now_s = self._monotonic()
        if now_s - self._viewed_s < self._view_s:
            return
        self._view = await read_snapshot(self._cell.client, self._cell.keys)
        self._viewed_s = now_s
        # Placed by the planner, or by a submission not older than the view.
        self._placed = {lane.key for lane in self._view.lanes.values()} if self._view.machines else set()
