"""Whose work is held because a budget is spent, for a process that routes: what it submits and what it moves goes by this."""

from __future__ import annotations

from typing import TYPE_CHECKING

from northstar.domain.budgets import FLEET
from northstar.domain.requirements import held_lane, read_anchors, read_class

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from northstar.domain.budgets import BudgetNote
    from northstar.domain.requirements import LaneKey


class BudgetStops:
    """As the notes say at the moment of the question; without any, nobody's is."""

    def __init__(self, notes: Callable[[], Mapping[str, BudgetNote]] = dict) -> None:
        self._notes = notes

    def of(self, tenant: str) -> BudgetNote | None:
        """Why the tenant's jobs are held; None where they are not."""
        return self._notes().get(tenant)

    def tenants(self) -> frozenset[str]:
        """Those whose jobs are held. That the fleet's own budget is spent holds nobody's: the cell is paused then."""
        return frozenset(self._notes()) - {FLEET}

    def where(self, lane: LaneKey, tenant: str) -> LaneKey:
        """Where a job waits that belongs into this lane: there, or where it is held."""
        if self.of(tenant) is None:
            return lane
        return held_lane(read_class(lane.requirement_class), read_anchors(lane.anchors))
