"""Taking jobs in: lane, policy's ranking of machines for it, one atomic call."""

from __future__ import annotations

import difflib
import math
from typing import TYPE_CHECKING

import msgspec

from northstar.broker.batch_refusals import about_a_job_of, about_job
from northstar.broker.decisions import read_decision
from northstar.broker.deployment import Deployer
from northstar.broker.fleet_view import FleetView
from northstar.broker.needs import ResolvedRequest, resolve_requests
from northstar.broker.requests import check_batch
from northstar.broker.said_placements import not_said_yet
from northstar.broker.wanted_lanes import PlacesLane, wanted_lane
from northstar.domain.errors import InvalidRequest, Refused, Unavailable
from northstar.domain.refusals import QueueRefusal, UnknownWord
from northstar.policy.routing.explain_remedies import for_held
from northstar.policy.routing.given_slots import GivenSlots
from northstar.policy.routing.ready_after import PatienceRule
from northstar.store.idempotency import has_key
from northstar.store.messages import Submitted, WantedJob, WantedLane
from northstar.store.words import known_words

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from northstar.broker.catalogue_view import CatalogueView
    from northstar.broker.fleet_view import SeenFleet
    from northstar.broker.missing_machines import MissingMachinesReader
    from northstar.broker.routed import Routed
    from northstar.broker.routing import Router
    from northstar.domain.decisions import RoutingDecision
    from northstar.domain.explanations import Action
    from northstar.domain.jobs import JobRequest
    from northstar.domain.requirements import LaneKey
    from northstar.policy.routing.given_slots import GivenBatch
    from northstar.store.cell import Cell
    from northstar.store.snapshots import CellReader

#: So long a lane's ranking of machines holds, however many jobs it gets: links, paces and holders move meanwhile. A lane that got a job so
#: recently is still there: an idle one is kept for a minute (`CellLimits.lane_ttl_ms`).
PLACED_S = 30.0
#: What a job counts for in its tenant's fair share of which nobody says how long it takes, seconds.
UNKNOWN_COST_S = 1.0
#: Words that an error names in place of an unknown one.
KNOWN_SHOWN = 12


def _ms(seconds: float | None) -> int:
    return 0 if seconds is None else max(1, math.ceil(seconds * 1000))


def wanted_job(
    request: JobRequest,
    *,
    job_id: str,
    lane: int,
    weight: float,
    resolved: ResolvedRequest | None = None,
    decision: str = "",
    trace: str = "",
) -> WantedJob:
    """A request as the function library takes it; `resolved` is what its machine gets, where that is more than was sent.

    The digest is that of what was sent: a job that is sent again is the same job, whatever is made of it by then.
    """
    sent, declared = request, () if resolved is None else resolved.declared
    request = sent if resolved is None else resolved.request
    return WantedJob(
        id=job_id,
        lane=lane,
        tenant=request.tenant,
        weight=weight,
        cost=request.expected_s or UNKNOWN_COST_S,
        priority=request.priority,
        max_attempts=request.retry.max_attempts,
        max_recoveries=request.retry.max_recoveries,
        start_within_ms=_ms(request.start_within_s),
        finish_within_ms=_ms(request.finish_within_s),
        backoff_base_ms=math.ceil(request.retry.backoff_s * 1000),
        backoff_cap_ms=math.ceil(request.retry.backoff_cap_s * 1000),
        retention_ms=_ms(request.retention_s),
        idempotency_key=request.idempotency_key or "",
        digest=sent.digest(),
        body=request.body(declared=declared, trace=trace).decode(),
        decision=decision,
    )


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """A job that was taken in, and where it waits and why; of one that was known already by what stands with it. Without a router nobody says."""

    job: Submitted
    decision: RoutingDecision | None = None
    #: What would have to change before anybody can run it.
    actions: tuple[Action, ...] = ()


class Submitter:
    """Submits to one cell. Ids, nonces and the clock are given, so that a run can be repeated exactly.

    With a router every job's pool and needs are decided first; without, they are what the request says. Policy's view of the
    machines is read at most every `view_s` seconds, and without a router only for lanes that are not placed yet. With a
    `catalogue`, models that jobs only name are filled in from it. `missing` says which machines may come for jobs that nobody can run.
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
        router: Router | None = None,
        catalogue: CatalogueView | None = None,
        missing: MissingMachinesReader | None = None,
        reader: CellReader | None = None,
        place: PlacesLane = wanted_lane,
        deploys: bool = True,
        before_ranked: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`reader` may be shared with others that look at the cell; `place` ranks machines for lanes; without `deploys` no models are ordered.

        `before_ranked` comes before jobs are brought to lanes that go by an earlier ranking, which plans keep true meanwhile.
        """
        self._router = router
        self._missing = missing
        self._place = place
        self._deploys = deploys
        self._before_ranked = before_ranked
        self._deployer = Deployer(cell, new_id=new_id, monotonic=monotonic)
        self.view = FleetView(cell, monotonic=monotonic, every_s=view_s, router=router, reader=reader)
        self._cell = cell
        self._new_id = new_id
        self._monotonic = monotonic
        self._weights = weights or {}
        self._rule = rule or PatienceRule()
        self._catalogue = catalogue
        #: Lane -> when its machines were ranked here; not when it was last used, or a lane with a job every few seconds would go by its first ranking for ever.
        self._ranked: dict[str, float] = {}
        self._forgot_s = -math.inf

    async def submit(self, requests: Sequence[JobRequest]) -> list[Submitted]:
        """Accept all of them or none. Raises as `submit_and_tell`."""
        return [one.job for one in await self.submit_and_tell(requests)]

    async def submit_and_tell(self, requests: Sequence[JobRequest], *, trace: str = "") -> list[Accepted]:
        """Accept all of them or none, and say of each where it waits and why; `trace` goes with them, so that logs can name it.

        Safe to repeat after an Unavailable when the requests carry ids or idempotency keys.

        Raises:
            BatchTooLarge, DuplicateId, and the refusals of `submit.lua` (`northstar.domain.refusals`)
            ModelNotForTenant, InvalidJob: what the catalogue says no to (`broker.needs`)
            and what the router says no to (`broker.routing.Router.route`)
        """
        check_batch(list(requests))
        with GivenSlots().batch() if self._router is None else self._router.giving() as given:
            return await self._submit(requests, given, trace)

    async def _submit(self, requests: Sequence[JobRequest], given: GivenBatch, trace: str) -> list[Accepted]:
        ids = [request.id or f"job_{self._new_id()}" for request in requests]
        routed = await self._routed(requests, ids, given)
        whole = await self._whole(requests, routed)
        lane_keys = [
            self._where(one.request.lane(), request.tenant) for (one, _), request in zip(whole, requests, strict=True)
        ]
        keys = {lane.key for lane in lane_keys}
        unranked = self._unranked(keys)
        if self._before_ranked is not None and keys != unranked:
            await self._before_ranked()
        view = await self.view.now() if unranked else None
        numbers: dict[str, int] = {}
        lanes: list[WantedLane] = []
        jobs: list[WantedJob] = []
        for place, (job_id, request, (resolved, decision), lane) in enumerate(
            zip(ids, requests, whole, lane_keys, strict=True)
        ):
            if lane.key not in numbers:
                seen = view if lane.key in unranked else None
                lanes.append(self._wanted_lane(lane, seen, resolved, routed[place] if routed else None))
                numbers[lane.key] = len(lanes)
            jobs.append(
                wanted_job(
                    request,
                    job_id=job_id,
                    lane=numbers[lane.key],
                    weight=self._weight(request.tenant),
                    resolved=resolved,
                    decision=decision,
                    trace=trace,
                )
            )
        told = lanes if view is None else await not_said_yet(self._cell, lanes, view.snapshot)
        try:
            accepted = await self._cell.submit(jobs=jobs, lanes=told, nonce=self._new_id()[-16:])
        except UnknownWord as exc:
            raise about_a_job_of(await self._with_known_words(exc), requests, ids) from exc
        except QueueRefusal as exc:
            about_a_job_of(exc, requests, ids)
            raise
        if routed:
            given.taken([not job.replayed for job in accepted])
        if view is not None and view.snapshot.machines:
            self._ranked.update(dict.fromkeys(unranked, self._monotonic()))
        await self._deploy(routed, lanes, view)
        if self._router is None:
            return [Accepted(job=job) for job in accepted]
        # Of a job that is known already the decision that stands with it counts, whatever would be decided now.
        known = await self._standing([job.id for job in accepted if job.replayed])
        decided: dict[str, Routed] = dict(zip(ids, routed, strict=True)) if routed else {}
        return [
            Accepted(job=job, decision=known.get(job.id))
            if job.replayed or job.id not in decided
            else self._told(job, decided[job.id])
            for job in accepted
        ]

    def _where(self, lane: LaneKey, tenant: str) -> LaneKey:
        return lane if self._router is None else self._router.stops.where(lane, tenant)

    def _told(self, job: Submitted, routed: Routed) -> Accepted:
        """What the submitter is told; of a job that is held, that first."""
        tenant = routed.resolved.request.tenant
        stop = None if self._router is None else self._router.stops.of(tenant)
        if stop is None:
            return Accepted(job=job, decision=routed.decision, actions=routed.actions)
        held = msgspec.structs.replace(routed.decision, unservable=stop.because[:400], coming="")
        return Accepted(job=job, decision=held, actions=for_held(tenant))

    async def _standing(self, job_ids: Sequence[str]) -> dict[str, RoutingDecision]:
        """What was decided last for jobs that the cell has. They were taken in, so nothing is wrong where it cannot be asked now."""
        if not job_ids:
            return {}
        try:
            found = (await self._cell.inspect(job_ids, decisions=True)).jobs
        except Unavailable:
            return {}
        return {job.id: told for job in found if (told := read_decision(job.decision)) is not None}

    def _wanted_lane(
        self, lane: LaneKey, view: SeenFleet | None, resolved: ResolvedRequest, routed: Routed | None
    ) -> WantedLane:
        run_s = resolved.request.expected_s
        if view is None:
            return self._place(lane, None, self._rule, run_s=run_s)
        return self._place(
            lane,
            view.snapshot,
            self._rule,
            index=view.index,
            run_s=run_s,
            terms=self.view.terms(),
            paces=None if routed is None else routed.paces,
        )

    async def _deploy(self, routed: Sequence[Routed], lanes: Sequence[WantedLane], view: SeenFleet | None) -> None:
        """Have models brought for lanes that were placed just now; one job speaks for all of its lane."""
        if view is None or not self._deploys:
            return
        ranked = {lane.key: [placement.machine for placement in lane.placements] for lane in lanes}
        for one in routed:
            machines = ranked.pop(one.resolved.request.lane().key, None)
            if machines and one.deploys:
                await self._deployer.bring(one, machines, view.snapshot)

    def _weight(self, tenant: str) -> float:
        given = self._weights.get(tenant)
        if given is not None:
            return given
        return self._router.weight(tenant) if self._router is not None else 1.0

    async def _routed(self, requests: Sequence[JobRequest], ids: Sequence[str], given: GivenBatch) -> list[Routed]:
        """What the router decides; nothing without one."""
        if self._router is None:
            return []
        if self._catalogue is not None:
            await self._catalogue.current()
        fleet = await self.view.now()
        router, keys = self._router, [one.idempotency_key or job_id for one, job_id in zip(requests, ids, strict=True)]
        try:
            routed = []
            for place, (request, key) in enumerate(zip(requests, keys, strict=True)):
                with about_job(requests, place):
                    routed.append(self._given(router, request, key, given))
        except (InvalidRequest, Refused):
            # What was accepted once stays accepted, whatever pools, terms or the catalogue say by now.
            if all([await self._is_known(request, job_id) for request, job_id in zip(requests, ids, strict=True)]):
                return []
            raise
        if self._missing is None or not any(one.decision.unservable for one in routed):
            return routed
        coming = (await self._missing.look(fleet.snapshot)).coming
        return [one.expecting(coming, fleet.snapshot) for one in routed]

    @staticmethod
    def _given(router: Router, request: JobRequest, key: str, given: GivenBatch) -> Routed:
        """Where the job goes; the next one of the batch, and of others by this view, finds a free slot less there."""
        routed = router.route(request, key=key)
        router.gave(routed, given)
        return routed

    async def _is_known(self, request: JobRequest, job_id: str) -> bool:
        """Whether the cell has this very request already; then it answers by it, and looks at nothing else of the submission."""
        if request.idempotency_key:
            return await has_key(self._cell.client, self._cell.keys, request)
        found = (await self._cell.inspect([job_id])).jobs
        return bool(found) and (found[0].record.digest, found[0].record.tenant) == (request.digest(), request.tenant)

    async def _whole(
        self, requests: Sequence[JobRequest], routed: Sequence[Routed]
    ) -> list[tuple[ResolvedRequest, str]]:
        """Each request with all that its machine needs to know, where it shall wait, and why."""
        if self._router is None:
            return [(one, "") for one in await resolve_requests(requests, self._catalogue)]
        if not routed:  # all are known already
            return [(ResolvedRequest(request=request), "") for request in requests]
        return [(one.resolved, one.stored()) for one in routed]

    async def _with_known_words(self, error: UnknownWord) -> UnknownWord:
        """The same refusal, and which words of its kind there are, the most alike first."""
        kind, _, word = error.facts.get("word", "").partition(":")
        known = await known_words(self._cell.client, self._cell.keys, kind)
        alike = difflib.get_close_matches(word, known, n=KNOWN_SHOWN, cutoff=0.6)
        shown = [*alike, *(other for other in known if other not in alike)]
        text = ", ".join(shown[:KNOWN_SHOWN]) + (", …" if len(shown) > KNOWN_SHOWN else "") or f"no {kind} at all"
        declare = f"; northstar models add URL --name {word} declares it" if kind == "model" else ""
        return UnknownWord(error.facts | {"known": f" (known: {text}{declare})"})

    def _unranked(self, lane_keys: set[str]) -> set[str]:
        """Those of the lanes for which policy has not ranked machines, or not lately; older rankings are forgotten on the way."""
        now_s = self._monotonic()
        if now_s - self._forgot_s >= PLACED_S:
            self._forgot_s = now_s
            self._ranked = {key: at_s for key, at_s in self._ranked.items() if now_s - at_s < PLACED_S}
        return {key for key in lane_keys if now_s - self._ranked.get(key, -math.inf) >= PLACED_S}
