"""ModelMesh's copies in a simulation.

A copy is a model that a machine has on its disk. Jobs go only to machines that have a copy, or to the one that shall load it. Nothing but a job brings a
model to a machine here, so a copy more is loaded by the next job that waits for it, and one that should go gets no jobs until the disk
drops it. How often a copy is asked follows from how many jobs are unfinished and how long one takes (Little's law), as the broker knows them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from northstar.policy.routing.candidates import MAX_CANDIDATES, Choice, lane_order
from northstar.policy.routing.ranking_terms import NO_TERMS
from northstar.simulation.policies.copy_book import CopyBook, CopyRules
from northstar.simulation.policies.least_recent import LeastRecentDisks
from northstar.simulation.policies.speaking import COMING, coming, differing, placed

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from northstar.domain.pools import Pools
    from northstar.domain.requirements import LaneKey
    from northstar.policy.routing.alike import AlikeMachines
    from northstar.policy.routing.fleet_index import FleetIndex
    from northstar.policy.routing.gpu_pace import GpuPaces
    from northstar.policy.routing.ranking_terms import RankingTerms
    from northstar.policy.routing.ready_after import PatienceRule
    from northstar.policy.routing.snapshot import CellSnapshot
    from northstar.store.messages import Candidate, WantedLane


class ModelCopies(LeastRecentDisks):
    """One run's: it remembers which copies were decided on."""

    name = "modelmesh-copies"
    orders_models = False

    def __init__(self, *, seed: int = 0, rules: CopyRules | None = None, pools: Pools | None = None) -> None:
        """`seed` is that of the lots between instances about as good."""
        self.pools = pools
        self._book = CopyBook(rules or CopyRules(), seed=seed)

    def place(
        self,
        lane: LaneKey,
        snapshot: CellSnapshot | None,
        rule: PatienceRule,  # noqa: ARG002 -- it has rules of its own
        *,
        index: FleetIndex | None = None,  # noqa: ARG002
        run_s: float | None = None,
        terms: RankingTerms = NO_TERMS,  # noqa: ARG002
        paces: GpuPaces | None = None,  # noqa: ARG002
    ) -> WantedLane:
        """The machines with a copy, or the one that shall load the first."""
        if snapshot is None:
            return placed(lane, (), ())
        with_it, fits = coming(lane, snapshot, run_s=run_s)
        self._book.look(with_it)
        return placed(lane, fits, sorted(self._book.choices(with_it.lanes[COMING], with_it))[:MAX_CANDIDATES])

    def choose(
        self,
        snapshot: CellSnapshot,
        known: Mapping[str, Collection[Candidate]],
        rule: PatienceRule,  # noqa: ARG002
        machines: AlikeMachines | None = None,  # noqa: ARG002
        terms: RankingTerms = NO_TERMS,  # noqa: ARG002
    ) -> list[tuple[str, list[Candidate]]]:
        """For every machine the lanes of whose models it has a copy, or shall have one."""
        self._book.look(snapshot)
        found: dict[str, list[Choice]] = {name: [] for name in snapshot.machines}
        for lane in sorted(snapshot.lanes.values(), key=lane_order):
            for one in self._book.choices(lane, snapshot):
                found[one.subject].append(Choice(one.ready_after_ms, one.preference, lane.id))
        return differing({name: choices[:MAX_CANDIDATES] for name, choices in found.items()}, known)
