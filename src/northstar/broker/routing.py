"""Routing at submit: what a job is, how long it may take, which pool it belongs to, where it waits, and why.

Everything is decided by pure policy on the latest view of the fleet; this module brings the facts together and writes the decision down.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from northstar.broker.asked_again import declared_s
from northstar.broker.budget_stops import BudgetStops
from northstar.broker.job_needs import JobNeeds, main_model
from northstar.broker.needs import ResolvedRequest
from northstar.broker.routed import Routed
from northstar.domain.decisions import NAMED
from northstar.domain.job_profiles import JobProfile
from northstar.domain.jobs import JobRequest
from northstar.domain.requirements import read_anchors, read_class
from northstar.policy.fleet.pool_stance import pool_priority, priority_raised_by
from northstar.policy.models.workload_memory import WorkloadMemory
from northstar.policy.routing.considered import Considered
from northstar.policy.routing.decision import decision_of
from northstar.policy.routing.decision_matrix import choose_pool
from northstar.policy.routing.duration import JobToTime
from northstar.policy.routing.explain_remedies import Standstill, source_of
from northstar.policy.routing.fleet_index import FleetIndex
from northstar.policy.routing.given_slots import GivenSlots
from northstar.policy.routing.pool_capacity import FleetCapacity, ModelWanted
from northstar.policy.routing.pool_fallback import NO_CAPACITY, FallbackRule, route_to_pool
from northstar.policy.routing.ranking_terms import ranking_terms
from northstar.policy.routing.snapshot import CellSnapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from northstar.broker.estimates import Estimates
    from northstar.broker.job_needs import Needs
    from northstar.domain.decisions import RoutingDecision
    from northstar.domain.jobs import JobBody
    from northstar.domain.pools import Pools
    from northstar.domain.requirements import LaneKey
    from northstar.domain.tenancy import Tenants, TenantTerms
    from northstar.domain.workloads import Workload
    from northstar.policy.models.catalogue_index import CatalogueIndex
    from northstar.policy.routing.given_slots import GivenBatch
    from northstar.policy.routing.gpu_pace import GpuPaces
    from northstar.policy.routing.pool_fallback import PoolCapacity
    from northstar.policy.routing.ranking_terms import RankingTerms

_MOST_NOTES: Final = 8
#: Models that are named as things to declare.
_MOST_NAMED: Final = 4
#: What is to be said where machines fit, and none has the models nor knows from where.
_NOWHERE: Final = (
    "no machine that fits says that it holds its models, and nobody said from where they can be had: "
    "declare them (northstar models add URL)"
)
#: Of machines without a models folder.
_BY_HAND: Final = (
    "no machine that fits keeps models, and the engines there name others than it asks for: "
    "put them where such an engine finds them, or give a machine a models folder (models.root)"
)


class Router:
    """Routes the jobs of one cell. `pools`, `tenants` and `catalogue` are asked at each job, so that changes count at once."""

    def __init__(
        self,
        *,
        pools: Callable[[], Pools],
        tenants: Callable[[], Tenants],
        estimates: Estimates,
        catalogue: Callable[[], CatalogueIndex],
        rule: FallbackRule | None = None,
        of_this_host: Collection[str] = (),
        stops: BudgetStops | None = None,
    ) -> None:
        """`of_this_host` are machines that `northstar up` runs here from its settings, so that what is advised can be done.

        `stops` says whose budget is spent: their jobs are held.
        """
        self.stops = stops or BudgetStops()
        self._of_this_host = of_this_host
        self._pools = pools
        self._tenants = tenants
        self._estimates = estimates
        self._catalogue = catalogue
        self._rule = rule
        self._read = WorkloadMemory()
        self._fleet = FleetCapacity(CellSnapshot())
        self._given = GivenSlots()
        self._considered = Considered(FleetIndex(CellSnapshot()), self._fleet)
        self._needs: JobNeeds | None = None
        self._ranking: tuple[Pools, GpuPaces, RankingTerms] | None = None

    def see(self, snapshot: CellSnapshot) -> None:
        """From now on decide by this view of the fleet."""
        self.view_begins()
        self.decide_by(FleetCapacity(snapshot), FleetIndex(snapshot, paces=self.ranking_terms().paces))

    def view_begins(self) -> None:
        """The fleet is being read, and `decide_by` follows: what is given away meanwhile is not in it."""
        self._given.view_begins()

    def decide_by(self, fleet: FleetCapacity, index: FleetIndex) -> None:
        """From now on decide by this view of the fleet; both are made of the same snapshot."""
        self._fleet = fleet
        self._considered = Considered(index, fleet)
        self._given.view_is_new()

    def giving(self) -> GivenBatch:
        """A context in which jobs are routed one after the other and brought to the cell together."""
        return self._given.batch()

    def gave(self, routed: Routed, batch: GivenBatch | None = None) -> None:
        """The job goes where it was routed, so a slot less is free there; the view will not say so before it is read anew.

        With a `batch` the cell does not have the job yet, and may refuse it.
        """
        pool = routed.decision.pool
        (self._given if batch is None else batch).give(pool, self._fleet.shared(pool))

    def ranking_terms(self) -> RankingTerms:
        """What machines are ranked by beside what they are: by the pools and the runs of this moment."""
        return self._terms_by(self._pools())

    def _terms_by(self, pools: Pools) -> RankingTerms:
        paces, known = self._estimates.paces(), self._ranking
        if known is None or known[0] is not pools or known[1] is not paces:
            known = self._ranking = (pools, paces, ranking_terms(pools, paces))
        return known[2]

    def _paces_for(self, timed: JobToTime, terms: RankingTerms, *, expected_s: float) -> GpuPaces:
        """How long this very job takes on each class of GPU of the fleet, as far as runs like it tell more than those of others."""
        run_s = self._estimates.run_times(timed, self._fleet.gpu_classes)
        return terms.paces.with_times(run_s, expected_s=expected_s)

    def paces_again(self, job: JobBody, *, tenant: str, before: RoutingDecision | None, expected_s: float) -> GpuPaces:
        """How long a job that the cell has already takes on each class of GPU, as at its submit, from what is stored with it."""
        workload = self._read.workload_of(job.service, job.payload, kind=self._fleet.engine_kind(job.service))
        timed = JobToTime(
            service=job.service,
            workload=workload,
            model=main_model(job.requires, workload),
            user=f"{tenant}/{job.user}" if job.user else "",
            declared_s=declared_s(before),
        )
        return self._paces_for(timed, self.ranking_terms(), expected_s=expected_s)

    def tenants(self) -> Tenants:
        """What is agreed with tenants at this moment. Raises TermsUnreadable."""
        return self._tenants()

    def told_again(self, decision: RoutingDecision, lane: LaneKey) -> RoutingDecision:
        """A decision whose pool stays, with what the machines are for this lane at this moment."""
        wanted, terms = read_class(lane.requirement_class), self.ranking_terms()
        models = sorted(ModelWanted(name, size, can_be_fetched=False) for name, size in read_anchors(lane.anchors))
        capacity = self._fleet.of(wanted, tuple(models)).get(wanted.pool, NO_CAPACITY)
        run_s, stuck = decision.estimate.p50_s or 0.001, Standstill()
        if not capacity.fit:
            stuck = self._considered.standstill(lane, of_this_host=self._of_this_host, rules=self._pools())
        return msgspec.structs.replace(
            decision,
            pool=wanted.pool,
            route=("pinned" if decision.row == NAMED else "matrix") if capacity.fit else "waiting",
            fit_machines=capacity.fit,
            holders=capacity.holders,
            machines=self._considered.machines(lane, run_s=run_s, paces=terms.paces, terms=terms),
            unservable=stuck.because,
            coming="",
        )

    def _needed(self) -> JobNeeds:
        """Needs by the view, the catalogue and the agreements of this moment."""
        needs = JobNeeds(self._fleet, self._catalogue(), self._tenants())
        if self._needs is None or not needs.is_as(self._needs):
            self._needs = needs
        return self._needs

    @property
    def pools_are_off(self) -> bool:
        """Whether any machine may take any job (`routing.mode`)."""
        return self._pools().routing.mode == "uniform"

    def weight(self, tenant: str) -> float:
        """The tenant's part of a fair share, beside others' 1."""
        return self._tenants().terms(tenant).weight

    def route(self, request: JobRequest, *, key: str) -> Routed:
        """Decide where a job waits. `key` stays the same when it is submitted again (its id, its idempotency key).

        Raises:
            PoolRefusesJob, NoPoolTakesJob: no pool takes such work, or not the one that it asks for.
            RegionNotAllowed, IsolationNotAllowed, ModelNotForTenant: it asks for what its tenant may not have.
            InvalidJob: its models are more files than a job may need.
        """
        pools, needed = self._pools(), self._needed()
        terms = needed.tenants.terms(request.tenant)
        workload = self._read.workload_of(
            request.service, request.payload, kind=self._fleet.engine_kind(request.service)
        )
        needs = needed.of(request, workload)
        workload = needs.told(workload)
        timed = _timed(request, workload, needs)
        profile = self._profile(request, workload, needs, timed, key=key, pools=pools, terms=terms)
        choice = choose_pool(profile, pools)
        route = route_to_pool(profile, choice, pools, needs.capacity, self._rule, given=self._given.of)
        # A guest keeps the turn of its own pool: it does not come before those whose pool it is, nor take a boost home from there.
        wanted = pools.get(choice.pool)
        # The estimate that decided: on the GPU by which the wanted pool counts.
        estimate = profile.estimate_for(wanted.compute.reference_gpu if wanted else "")
        whole = msgspec.structs.replace(
            request,
            pool=route.pool,
            requires=needs.requires,
            priority=pool_priority(request.priority, wanted, terms),
            expected_s=request.expected_s or max(0.001, estimate.p50_s),
        )
        capacity = needs.capacity.get(route.pool, NO_CAPACITY)
        decision = decision_of(choice, route, workload, capacity, estimate, named=request.pool)
        raised_by = priority_raised_by(request.priority, choice.pool, wanted, terms)
        lane = needs.lane(whole)
        ranked_by, expected_s = self._terms_by(pools), whole.expected_s or 0.001
        paces = self._paces_for(timed, ranked_by, expected_s=expected_s)
        stuck = self._standstill(whole, lane, capacity, pools=decision.only_lacks_machines)
        return Routed(
            resolved=ResolvedRequest(request=whole, declared=needs.declared, notes=needs.need_notes),
            decision=msgspec.structs.replace(
                decision,
                unservable=stuck.because,
                notes=tuple(note[:400] for note in (*workload.unread, *needs.notes)[:_MOST_NOTES]),
                machines=self._considered.machines(lane, run_s=expected_s, paces=paces, terms=ranked_by),
                asked_priority=request.priority if raised_by else None,
                raised_by=max(0, whole.priority - request.priority),
                raised_because=raised_by,
            ),
            deploys=route.deploys,
            paces=paces,
            actions=stuck.actions,
        )

    def _standstill(
        self, request: JobRequest, lane: LaneKey, capacity: PoolCapacity, *, pools: tuple[str, ...]
    ) -> Standstill:
        """Why nobody could run the job as things are, and what would have to change; empty if somebody could."""
        if not capacity.fit:
            return self._considered.standstill(lane, pools=pools, of_this_host=self._of_this_host, rules=self._pools())
        if capacity.holders or capacity.engine_may_have or capacity.fetch_s is not None:
            return Standstill()
        if capacity.engine_names_others == capacity.fit:
            return Standstill(because=_BY_HAND)
        wanted = [need for need in request.requires.models if need.is_anchor and not need.sources]
        missing = [need.name for need in wanted if not self._fleet.holds(need.name)] or [need.name for need in wanted]
        return Standstill(because=_NOWHERE, actions=tuple(source_of(name) for name in missing[:_MOST_NAMED]))

    def _profile(
        self,
        request: JobRequest,
        workload: Workload,
        needs: Needs,
        timed: JobToTime,
        *,
        key: str,
        pools: Pools,
        terms: TenantTerms,
    ) -> JobProfile:
        """With an estimate for each GPU that some pool counts by."""
        sizes = [need.size_bytes for need in needs.requires.models]
        classes = sorted({spec.compute.reference_gpu for spec in pools.pools.values()} | {""})
        first, *others = (
            self._estimates.estimate(msgspec.structs.replace(timed, gpu_class=gpu_class)) for gpu_class in classes
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
            vram_mb=needs.requires.vram_mb,
        )


def _timed(request: JobRequest, workload: Workload, needs: Needs) -> JobToTime:
    return JobToTime(
        service=request.service,
        workload=workload,
        model=needs.main_model,
        user=f"{request.tenant}/{request.user}" if request.user else "",
        declared_s=request.expected_s or 0.0,
    )
