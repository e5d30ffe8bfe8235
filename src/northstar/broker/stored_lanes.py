"""Lanes of jobs that a cell has already: where each waited last, within today's terms, with its machines ranked as at a submit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from northstar.broker.decisions import read_decision
from northstar.broker.wanted_lanes import wanted_lane
from northstar.domain.jobs import JobBody
from northstar.domain.pools import ENTERPRISE
from northstar.domain.requirements import NOBODYS, lane_of_class, read_anchors, read_class
from northstar.policy.routing.fleet_index import FleetIndex
from northstar.policy.routing.ranking_terms import NO_TERMS
from northstar.policy.routing.terms import IsolationNotAllowed, RegionNotAllowed, within_terms

if TYPE_CHECKING:
    from northstar.broker.routing import Router
    from northstar.domain.requirements import LaneKey
    from northstar.policy.routing.ready_after import PatienceRule
    from northstar.policy.routing.snapshot import CellSnapshot
    from northstar.store.messages import WantedLane


def stored_pool(body: JobBody, decision: str) -> str:
    """The pool in which the job waits or waited last.

    A body keeps the pool of its submit for ever; a job that was routed again is where its latest decision says.
    """
    latest = read_decision(decision)
    return body.pool if latest is None else latest.pool


def stored_lane(body: str, decision: str) -> LaneKey:
    """The lane in which a job waited last, by what was agreed when it was accepted.

    Raises:
        msgspec.MsgspecError: this version cannot read its body.
    """
    read = msgspec.json.decode(body, type=JobBody)
    return msgspec.structs.replace(read, pool=stored_pool(read, decision)).lane()


class StoredLanes:
    """By one view of the machines; jobs of one lane cost one ranking.

    With a `router`, which sees that view from then on (unless there is an `index` of it: then it has seen it already), machines are ranked by what a submit ranks them by, and nobody leaves the terms of
    today. Without, all GPUs and places count alike, and nothing was agreed with anybody.
    """

    def __init__(
        self,
        snapshot: CellSnapshot,
        rule: PatienceRule,
        router: Router | None = None,
        *,
        index: FleetIndex | None = None,
    ) -> None:
        self._snapshot = snapshot
        self._rule = rule
        self._router = router
        self._terms = NO_TERMS if router is None else router.ranking_terms()
        self._index = index or FleetIndex(snapshot, paces=self._terms.paces)
        self._known: dict[str, WantedLane] = {}
        if router is not None and index is None:
            router.see(snapshot)

    def of(self, body: str, decision: str, *, tenant: str) -> WantedLane:
        """The lane of a tenant's job, from its body and its decision as they are stored.

        Raises:
            TermsUnreadable: there are terms of tenants, and nobody can say what they are.
        """
        lane = self._within_terms(stored_lane(body, decision), tenant)
        if self._router is not None and not read_class(lane.requirement_class).is_barred:
            lane = self._router.stops.where(lane, tenant)
        if lane.key not in self._known:
            self._known[lane.key] = self._ranked(lane, body, decision, tenant)
        return self._known[lane.key]

    def _within_terms(self, lane: LaneKey, tenant: str) -> LaneKey:
        """The lane with what is left to the tenant; for no machine where nothing is, or where it must be routed to another pool first."""
        if self._router is None:
            return lane
        tenants, wanted = self._router.tenants(), read_class(lane.requirement_class)
        try:
            narrowed = within_terms(wanted, tenants, tenant=tenant)
        except (RegionNotAllowed, IsolationNotAllowed):
            narrowed = msgspec.structs.replace(wanted, isolation=NOBODYS)
        if tenants.terms(tenant).enterprise and wanted.pool != ENTERPRISE:
            # Whoever looks again at jobs that wait brings it to its pool, with the decision that goes with it.
            narrowed = msgspec.structs.replace(wanted, isolation=NOBODYS)
        return lane if narrowed == wanted else lane_of_class(narrowed, read_anchors(lane.anchors))

    def _ranked(self, lane: LaneKey, body: str, decision: str, tenant: str) -> WantedLane:
        """The first job that comes there speaks for all, as at a submit."""
        before = read_decision(decision)
        run_s = None if before is None else before.estimate.p50_s or None
        paces = None
        if self._router is not None and run_s is not None:
            job = msgspec.json.decode(body, type=JobBody)
            paces = self._router.paces_again(job, tenant=tenant, before=before, expected_s=run_s)
        return wanted_lane(
            lane, self._snapshot, self._rule, index=self._index, run_s=run_s, terms=self._terms, paces=paces
        )
