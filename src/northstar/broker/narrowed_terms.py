"""Jobs that wait where today's terms of their tenants forbid it: where they go instead, or why nobody may run them.

Terms are agreed anew while jobs wait. What was accepted within wider terms goes on within the narrower ones: to the pool, the regions and
the machines that are left to it. Where what a job asks for and what its tenant may have exclude each other, it waits where no machine may
take it, and is told so, until one of the two is changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from northstar.broker.asked_again import asked_again
from northstar.broker.reroute_moves import Move
from northstar.broker.routed import stored_text
from northstar.broker.stored_lanes import stored_lane
from northstar.broker.terms_in_force import TermsUnreadable
from northstar.domain.decisions import NAMED
from northstar.domain.errors import NorthstarError
from northstar.domain.pools import ENTERPRISE
from northstar.domain.requirements import NOBODYS, lane_of_class, read_anchors, read_class
from northstar.policy.routing.terms import IsolationNotAllowed, RegionNotAllowed, forbids, within_terms
from northstar.telemetry import logger

if TYPE_CHECKING:
    from northstar.broker.routing import Router
    from northstar.domain.decisions import RoutingDecision
    from northstar.domain.requirements import LaneKey, RequirementClass
    from northstar.domain.tenancy import Tenants
    from northstar.policy.routing.snapshot import LaneState
    from northstar.store.messages import InspectedJob

log = logger(__name__)

#: What is told of a job while its cell has not heard of a place that its tenant's terms name.
_NOT_DECLARED: Final = "its tenant's terms name a region, an isolation or a pool that is not declared in this cell yet"
#: As long as a sentence of a decision may be.
_SENTENCE_CHARS: Final = 400


class NarrowedTerms:
    """What one look goes by: the terms as they hold while it lasts. `router` is that of the look."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._tenants = _readable(router)

    @property
    def limits_anybody(self) -> bool:
        """Whether anything was agreed with anybody."""
        return self._tenants is not None and bool(self._tenants.tenants)

    def concerns(self, tenant: str, wanted: RequirementClass | None) -> bool:
        """Whether a job of the tenant may not wait in a lane of this class, or waits there because it may run nowhere.

        Nobody is moved by terms that cannot be read.
        """
        # What is held is looked after by whoever holds it (`budget_holds`), and is released into the terms of that moment.
        if self._tenants is None or wanted is None or wanted.is_held:
            return False
        return wanted.is_barred or forbids(wanted, self._tenants, tenant=tenant)

    def move(
        self, job: InspectedJob, lane: LaneState, wanted: RequirementClass, before: RoutingDecision | None
    ) -> Move | None:
        """Where such a job goes; None where it stays barred."""
        if self._tenants is None:
            return None
        try:
            found = self._routed(job, before, self._tenants)
            if found is None:
                found = self._kept(job, lane, wanted, before, self._tenants)
        except (RegionNotAllowed, IsolationNotAllowed) as exc:
            found = self._barred(job, lane, wanted, before, because=str(exc))
        except (NorthstarError, msgspec.MsgspecError) as exc:
            # Without its body nobody knows what it asked for beside that, so it stays where no machine may have it.
            log.debug("not_released", job=job.id, error=str(exc))
            return None
        if found.lane.key == lane.key:
            return None
        meanwhile = self._barred(job, lane, wanted, before, because=_NOT_DECLARED)
        return found if found.lane.key == meanwhile.lane.key else msgspec.structs.replace(found, meanwhile=meanwhile)

    def _routed(self, job: InspectedJob, before: RoutingDecision | None, tenants: Tenants) -> Move | None:
        """As if it were submitted now; None where its pool was asked for or promised, or where it cannot be routed.

        Raises:
            RegionNotAllowed, IsolationNotAllowed: it asks for what its tenant may not have.
        """
        tenant = job.record.tenant
        keeps_pool = before is None or before.guaranteed or before.row == NAMED
        if keeps_pool and not tenants.terms(tenant).enterprise:
            return None
        try:
            request = asked_again(job.body, tenant=tenant, before=before)
            routed = self._router.route(request, key=job.record.idempotency_key or job.id).keeping(before)
        except (RegionNotAllowed, IsolationNotAllowed):
            raise
        except (NorthstarError, msgspec.MsgspecError) as exc:
            # Pools or the catalogue would refuse it today, or a newer version wrote it: it was accepted, and only its place is forbidden.
            log.debug("not_routed_anew", job=job.id, error=str(exc))
            return None
        because = _with_terms(routed.decision.because, tenant)
        decision = msgspec.structs.replace(routed.decision, because=because)
        self._router.gave(routed)
        return Move.of(job.id, msgspec.structs.replace(routed, decision=decision))

    def _kept(
        self,
        job: InspectedJob,
        lane: LaneState,
        wanted: RequirementClass,
        before: RoutingDecision | None,
        tenants: Tenants,
    ) -> Move:
        """In its pool, or the one that its tenant was promised, with what is left to it of regions and machines.

        Raises:
            RegionNotAllowed, IsolationNotAllowed: it asks for what its tenant may not have.
            msgspec.MsgspecError: it is barred, and this version cannot read what it asked for.
        """
        tenant, anchors = job.record.tenant, lane.anchors
        if wanted.is_barred:
            asked = stored_lane(job.body, job.decision)
            wanted, anchors = read_class(asked.requirement_class), read_anchors(asked.anchors)
        is_promised = tenants.terms(tenant).enterprise
        pool = ENTERPRISE if is_promised else wanted.pool
        narrowed = within_terms(msgspec.structs.replace(wanted, pool=pool), tenants, tenant=tenant)
        key = lane_of_class(narrowed, anchors)
        because = _with_terms(f"it waits in pool {pool}", tenant)
        decision = ""
        if before is not None:
            told = self._router.told_again(before, key)
            is_guaranteed = before.guaranteed or is_promised
            decision = stored_text(msgspec.structs.replace(told, because=because, guaranteed=is_guaranteed))
        return Move(job=job.id, lane=key, because=because, decision=decision)

    def _barred(
        self,
        job: InspectedJob,
        lane: LaneState,
        wanted: RequirementClass,
        before: RoutingDecision | None,
        *,
        because: str,
    ) -> Move:
        """In its pool, and for no machine."""
        because = because[:_SENTENCE_CHARS]
        decision = "" if before is None else stored_text(_barred(before, because))
        return Move(job=job.id, lane=barred_lane(wanted, lane.anchors), because=because, decision=decision)


def barred_lane(wanted: RequirementClass, anchors: tuple[tuple[str, int], ...]) -> LaneKey:
    """The lane of such jobs as no machine may have."""
    return lane_of_class(msgspec.structs.replace(wanted, isolation=NOBODYS), anchors)


def _barred(before: RoutingDecision, because: str) -> RoutingDecision:
    """The decision of a job that no machine may have: what it said of machines was of another place."""
    return msgspec.structs.replace(
        before,
        route="waiting",
        because=because,
        unservable=because,
        coming="",
        machines=None,
        fit_machines=0,
        holders=0,
    )


def _with_terms(because: str, tenant: str) -> str:
    told = f"; the terms of tenant {tenant} forbid it where it waited"
    return f"{because[: _SENTENCE_CHARS - len(told)]}{told}"


def _readable(router: Router) -> Tenants | None:
    try:
        return router.tenants()
    except TermsUnreadable as exc:
        log.debug("terms_not_looked_at", code=exc.code, error=str(exc))
        return None
