"""Routing at submit: what a job is, how long it may take, which pool it belongs to, where it waits, and why.

Everything is decided by pure policy on the latest view of the fleet; this module brings the facts together and writes the decision down.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from northstar.broker.needs import ResolvedRequest, resolve_request
from northstar.domain.decisions import RoutingDecision
from northstar.domain.job_profiles import JobProfile
from northstar.domain.jobs import JobRequest
from northstar.domain.models import ADAPTERS, ModelNeed
from northstar.domain.requirements import VRAM_CLASSES_MB, read_class
from northstar.policy.fleet.pool_stance import pool_priority
from northstar.policy.models.core_nodes import CORE_NODE_CLASSES
from northstar.policy.models.resolve import MAX_NEEDS
from northstar.policy.models.vram import vram_mb_of
from northstar.policy.models.workload_of import workload_of
from northstar.policy.routing.decision_matrix import choose_pool
from northstar.policy.routing.duration import JobToTime
from northstar.policy.routing.duration_rules import work_of
from northstar.policy.routing.pool_capacity import FleetCapacity, ModelWanted
from northstar.policy.routing.pool_fallback import NO_CAPACITY, FallbackRule, route_to_pool
from northstar.policy.routing.snapshot import CellSnapshot
from northstar.policy.routing.terms import within_terms

if TYPE_CHECKING:
    from collections.abc import Callable

    from northstar.domain.decisions import PoolChoice, Rejection
    from northstar.domain.estimates import DurationEstimate
    from northstar.domain.pools import Pools
    from northstar.domain.requirements import Requirements
    from northstar.domain.tenancy import TenantTerms
    from northstar.domain.workloads import Workload
    from northstar.policy.models.catalogue_index import CatalogueIndex
    from northstar.policy.routing.pool_fallback import PoolCapacity, PoolRoute

#: As long as a stored decision may be, bytes; as the function library bounds it.
MAX_DECISION_BYTES: Final = 4_096
#: Pools that were passed over and are named; of more nobody would read.
_MOST_REJECTED: Final = 12
_MOST_NOTES: Final = 8
#: As long as the subject of a rejection may be.
_SUBJECT_CHARS: Final = 160
#: Node classes that one job may require beside the core's.
_MOST_NODE_CLASSES: Final = 64


class Estimates(Protocol):
    """Says how long work takes."""

    def estimate(self, job: JobToTime) -> DurationEstimate:
        """Seconds of the work itself on the job's class of GPU; empty: on none in particular."""
        ...


class Routed(msgspec.Struct, frozen=True, kw_only=True):
    """A job with its pool and needs decided, and why. `deploys`: its models are to be brought to the pool."""

    resolved: ResolvedRequest
    decision: RoutingDecision
    deploys: bool = False

    def stored(self) -> str:
        """The decision as JSON within its bound: of many pools that were passed over, the last ones go unsaid."""
        decision = self.decision
        text = msgspec.json.encode(decision)
        while len(text) > MAX_DECISION_BYTES and (decision.rejected or decision.notes):
            decision = msgspec.structs.replace(decision, rejected=decision.rejected[:-1], notes=decision.notes[:-1])
            text = msgspec.json.encode(decision)
        return text.decode()


class Router:
    """Routes the jobs of one cell. `pools`, `terms` and `catalogue` are asked at each job, so that changes count at once."""

    def __init__(
        self,
        *,
        pools: Callable[[], Pools],
        terms: Callable[[str], TenantTerms],
        estimates: Estimates,
        catalogue: Callable[[], CatalogueIndex],
        rule: FallbackRule | None = None,
    ) -> None:
        self._pools = pools
        self._terms = terms
        self._estimates = estimates
        self._catalogue = catalogue
        self._rule = rule
        self._fleet = FleetCapacity(CellSnapshot())

    def see(self, snapshot: CellSnapshot) -> None:
        """From now on decide by this view of the fleet."""
        self._fleet = FleetCapacity(snapshot)

    def prefers_edge(self, pool: str) -> bool:
        """Whether the pool's work goes to machines near its users before equal ones."""
        spec = self._pools().get(pool)
        return spec is not None and spec.scaling.prefers_edge

    def weight(self, tenant: str) -> float:
        """The tenant's part of a fair share, beside others' 1."""
        return self._terms(tenant).weight

    def route(self, request: JobRequest, *, key: str) -> Routed:
        """Decide where a job waits. `key` stays the same when it is submitted again (its id, its idempotency key).

        Raises:
            PoolRefusesJob, NoPoolTakesJob: no pool takes such work, or not the one that it asks for.
            RegionNotAllowed, IsolationNotAllowed, ModelNotForTenant: it asks for what its tenant may not have.
            InvalidJob: its models are more files than a job may need.
        """
        pools, terms = self._pools(), self._terms(request.tenant)
        workload = workload_of(request.service, request.payload, kind=self._fleet.engine_kind(request.service))
        notes: list[str] = list(workload.unread)
        found = resolve_request(self._with_models(request, workload, notes), self._catalogue())
        workload = self._as_declared(workload, found.request.requires)
        requires = self._requires(found.request, workload, notes)
        requires = within_terms(requires, terms, tenant=request.tenant)
        profile = self._profile(request, workload, requires, key=key, pools=pools, terms=terms)
        choice = choose_pool(profile, pools)
        capacity = self._capacity(request, requires)
        route = route_to_pool(profile, choice, pools, capacity, self._rule)
        spec = pools.get(route.pool)
        whole = msgspec.structs.replace(
            request,
            pool=route.pool,
            requires=requires,
            priority=pool_priority(request.priority, spec, terms),
            expected_s=request.expected_s or max(0.001, profile.estimate.p50_s),
        )
        return Routed(
            resolved=ResolvedRequest(request=whole, declared=found.declared, notes=found.notes),
            decision=_decision(choice, route, profile, capacity.get(route.pool, NO_CAPACITY), notes),
            deploys=route.deploys,
        )

    def _with_models(self, request: JobRequest, workload: Workload, notes: list[str]) -> JobRequest:
        """The request with the models that its payload names, as far as somebody has heard of them.

        One that is unknown is left to the engine, which may know it by another name.
        """
        named, catalogue = {need.name for need in request.requires.models}, self._catalogue()
        found = []
        for use in workload.models:
            if use.name in named:
                continue
            if self._fleet.holds(use.name) or catalogue.find(use.name) is not None:
                found.append(ModelNeed(name=use.name, kind=use.kind))
            else:
                notes.append(
                    f"model {use.name} is declared nowhere and no machine says that it has it; its engine decides"
                )
        if not found:
            return request
        models = (*request.requires.models, *found)[:MAX_NEEDS]
        return msgspec.structs.replace(request, requires=msgspec.structs.replace(request.requires, models=models))

    def _as_declared(self, workload: Workload, requires: Requirements) -> Workload:
        """The workload with what operators say of its models: that one is experimental, or made for one speciality."""
        catalogue = self._catalogue()
        models = [
            one.model for need in requires.models if (one := catalogue.find(need.name, kind=need.kind)) is not None
        ]
        if not models:
            return workload
        return msgspec.structs.replace(
            workload,
            is_experimental=workload.is_experimental or any(model.experimental for model in models),
            speciality=workload.speciality or next((model.speciality for model in models if model.speciality), None),
            modalities=workload.modalities
            or next((tuple(sorted(one.modalities)) for one in models if one.modalities), ()),
        )

    def _requires(self, request: JobRequest, workload: Workload, notes: list[str]) -> Requirements:
        """What a machine must have: memory for the models where the catalogue knows it, and the nodes that not every server has."""
        asked = request.requires
        return msgspec.structs.replace(
            asked,
            vram_mb=asked.vram_mb or self._vram_mb(asked),
            node_classes=asked.node_classes or self._nodes_of(request.service, workload, notes),
        )

    def _vram_mb(self, requires: Requirements) -> int:
        """The most that one of the models takes by the catalogue, as a class; 0 where it does not know them."""
        catalogue = self._catalogue()
        found = (catalogue.find(need.name, kind=need.kind) for need in requires.models)
        most = max((vram_mb_of(one.version) for one in found if one is not None), default=0)
        return min(most, VRAM_CLASSES_MB[-1])

    def _nodes_of(self, service: str, workload: Workload, notes: list[str]) -> tuple[str, ...]:
        special = [name for name in workload.node_classes if name not in CORE_NODE_CLASSES]
        if not special or not self._fleet.tells_nodes(service):
            return ()
        if len(special) > _MOST_NODE_CLASSES:
            notes.append(
                f"of {len(special)} special node classes the first {_MOST_NODE_CLASSES} are required of machines"
            )
        return tuple(special[:_MOST_NODE_CLASSES])

    def _profile(
        self,
        request: JobRequest,
        workload: Workload,
        requires: Requirements,
        *,
        key: str,
        pools: Pools,
        terms: TenantTerms,
    ) -> JobProfile:
        """With an estimate for each GPU that some pool counts by."""
        sizes = [need.size_bytes for need in requires.models]
        classes = sorted({spec.compute.reference_gpu for spec in pools.pools.values()} | {""})
        asked = JobToTime(
            service=request.service,
            workload=workload,
            model=_main_model(requires, workload),
            user=f"{request.tenant}/{request.user}" if request.user else "",
            declared_s=request.expected_s or 0.0,
        )
        first, *others = (
            self._estimates.estimate(msgspec.structs.replace(asked, gpu_class=gpu_class)) for gpu_class in classes
        )
        return JobProfile(
            key=key,
            workload=workload,
            estimate=first,
            estimates=tuple(others),
            terms=terms,
            pool=request.pool,
            speciality=request.speciality,
            largest_model_bytes=max(sizes, default=0),
            models_bytes=sum(sizes),
            vram_mb=requires.vram_mb,
        )

    def _capacity(self, request: JobRequest, requires: Requirements) -> dict[str, PoolCapacity]:
        lane = msgspec.structs.replace(request, requires=requires).lane()
        wanted = tuple(
            sorted(
                ModelWanted(need.name, need.size_bytes, bool(need.sources))
                for need in requires.models
                if need.is_anchor
            )
        )
        return self._fleet.of(read_class(lane.requirement_class), wanted)


def _main_model(requires: Requirements, workload: Workload) -> str:
    """The model that the run is told by, as the history tells it: the largest that is no adapter."""
    anchors = [need for need in requires.models if need.is_anchor] or list(requires.models)
    if anchors:
        return max(anchors, key=lambda need: need.size_bytes).name
    named = [use for use in workload.models if use.kind not in ADAPTERS] or list(workload.models)
    return named[0].name if named else ""


def _decision(
    choice: PoolChoice, route: PoolRoute, profile: JobProfile, capacity: PoolCapacity, notes: list[str]
) -> RoutingDecision:
    return RoutingDecision(
        pool=route.pool,
        route=route.route,
        optimal=choice.pool,
        row=choice.row,
        because=route.because[:400],
        estimate=profile.estimate,
        rejected=_together((*choice.rejected, *route.rejected))[:_MOST_REJECTED],
        guaranteed=choice.guaranteed,
        fit_machines=capacity.fit,
        holders=capacity.holders,
        unservable=route.unservable,
        shape=profile.workload.shape[:128],
        modalities=profile.workload.modalities,
        work=work_of(profile.workload),
        notes=tuple(note[:400] for note in notes[:_MOST_NOTES]),
    )


def _together(rejected: tuple[Rejection, ...]) -> tuple[Rejection, ...]:
    """Pools that were passed over for the same reason one after the other, told at once; as many as a subject has room for."""
    found: list[Rejection] = []
    for one in rejected:
        last = found[-1] if found else None
        if last is not None and (last.code, last.reason) == (one.code, one.reason):
            subject = f"{last.subject}, {one.subject}"
            if len(subject) <= _SUBJECT_CHARS:
                found[-1] = msgspec.structs.replace(last, subject=subject, count=last.count + one.count)
                continue
        found.append(one)
    return tuple(found)
