"""Lanes of jobs that a cell has already: where each waited last, with the machines of one view ranked once for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from northstar.broker.decisions import read_decision
from northstar.broker.wanted_lanes import wanted_lane
from northstar.domain.jobs import JobBody
from northstar.policy.routing.fleet_index import FleetIndex

if TYPE_CHECKING:
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


class StoredLanes:
    """By one view of the machines; jobs of one lane cost one ranking."""

    def __init__(self, snapshot: CellSnapshot, rule: PatienceRule) -> None:
        self._snapshot = snapshot
        self._rule = rule
        self._index = FleetIndex(snapshot)
        self._known: dict[str, WantedLane] = {}

    def of(self, body: str, decision: str) -> WantedLane:
        """The lane of a job, from its body and its decision as they are stored."""
        read = msgspec.json.decode(body, type=JobBody)
        lane: LaneKey = msgspec.structs.replace(read, pool=stored_pool(read, decision)).lane()
        if lane.key not in self._known:
            self._known[lane.key] = wanted_lane(lane, self._snapshot, self._rule, index=self._index)
        return self._known[lane.key]
