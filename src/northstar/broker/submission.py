"""Taking jobs in: lane, policy's ranking of machines for it, one atomic call."""

from __future__ import annotations

import difflib
import math
from typing import TYPE_CHECKING

from northstar.broker.requests import check_batch
from northstar.domain.refusals import UnknownWord
from northstar.domain.requirements import read_anchors, read_class
from northstar.policy.routing.candidates import ranking
from northstar.policy.routing.fleet_index import FleetIndex
from northstar.policy.routing.ready_after import PatienceRule
from northstar.policy.routing.snapshot import CellSnapshot, LaneState
from northstar.store.messages import Placement, Submitted, WantedJob, WantedLane
from northstar.store.snapshots import read_snapshot
from northstar.store.words import known_words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from northstar.domain.jobs import JobRequest
    from northstar.domain.requirements import LaneKey
    from northstar.store.cell import Cell

#: A lane that got a job so recently is still there: an idle one is kept for a minute (`CellLimits.lane_ttl_ms`).
PLACED_S = 30.0
#: Words that an error names in place of an unknown one.
KNOWN_SHOWN = 12


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


def wanted_lane(
    lane: LaneKey, snapshot: CellSnapshot | None, rule: PatienceRule, *, index: FleetIndex | None = None
) -> WantedLane:
    """A lane as the function library takes it; with policy's ranking of the machines in `snapshot`, if given. `index` is one of it."""
    fits: tuple[tuple[str, bool], ...] = ()
    placements: tuple[Placement, ...] = ()
    if snapshot is not None:
        state = LaneState(id="", key=lane.key, requirement_class="", anchors=read_anchors(lane.anchors), unfinished=0)
        decided, ranked = ranking(state, read_class(lane.requirement_class), snapshot, rule, index=index)
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


class Submitter:
    """Submits to one cell. Ids, nonces and the clock are given, so that a run can be repeated exactly.

    Policy's view of the machines is read only for lanes that are not placed yet, and at most every `view_s` seconds.
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
        self._index: FleetIndex | None = None
        self._viewed_s = -math.inf
        self._placed: dict[str, float] = {}

    async def submit(self, requests: Sequence[JobRequest]) -> list[Submitted]:
        """Accept all of them or none.

        Safe to repeat after an Unavailable when the requests carry ids or idempotency keys.

        Raises:
            BatchTooLarge, DuplicateId, and the refusals of `submit.lua` (`northstar.domain.refusals`)
        """
        check_batch(list(requests))
        lane_keys = [request.lane() for request in requests]
        view = await self._view_for({lane.key for lane in lane_keys})
        numbers: dict[str, int] = {}
        lanes: list[WantedLane] = []
        jobs: list[WantedJob] = []
        for request, lane in zip(requests, lane_keys, strict=True):
            if lane.key not in numbers:
                seen = None if self._is_placed(lane.key) else view
                lanes.append(wanted_lane(lane, seen, self._rule, index=self._index))
                numbers[lane.key] = len(lanes)
            job_id = request.id or f"job_{self._new_id()}"
            weight = self._weights.get(request.tenant, 1.0)
            jobs.append(wanted_job(request, job_id=job_id, lane=numbers[lane.key], weight=weight))
        try:
            accepted = await self._cell.submit(jobs=jobs, lanes=lanes, nonce=self._new_id()[-16:])
        except UnknownWord as exc:
            raise await self._with_known_words(exc) from exc
        if view is None or view.machines:
            self._placed.update(dict.fromkeys(numbers, self._monotonic()))
        return accepted

    async def _with_known_words(self, error: UnknownWord) -> UnknownWord:
        """The same refusal, and which words of its kind there are, the most alike first."""
        kind, _, word = error.facts.get("word", "").partition(":")
        known = await known_words(self._cell.client, self._cell.keys, kind)
        alike = difflib.get_close_matches(word, known, n=KNOWN_SHOWN, cutoff=0.6)
        shown = [*alike, *(other for other in known if other not in alike)]
        text = ", ".join(shown[:KNOWN_SHOWN]) + (", …" if len(shown) > KNOWN_SHOWN else "") or f"no {kind} at all"
        return UnknownWord(error.facts | {"known": f" (known: {text})"})

    def _is_placed(self, lane_key: str) -> bool:
        """Whether the cell knows the lane and policy has ranked machines for it."""
        return self._monotonic() - self._placed.get(lane_key, -math.inf) < PLACED_S

    async def _view_for(self, lane_keys: set[str]) -> CellSnapshot | None:
        """Policy's view of the machines, if a lane needs a ranking; read anew when it is old."""
        if all(self._is_placed(key) for key in lane_keys):
            return None
        now_s = self._monotonic()
        if self._view is None or now_s - self._viewed_s >= self._view_s:
            self._view = await read_snapshot(self._cell.client, self._cell.keys)
            self._index = FleetIndex(self._view, self._index)
            self._viewed_s = now_s
            self._placed = {key: at_s for key, at_s in self._placed.items() if now_s - at_s < PLACED_S}
        return self._view
