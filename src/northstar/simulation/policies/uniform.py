"""Uniform pull and LRU, as the predecessor works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from northstar.policy.baselines.lots import lot
from northstar.policy.baselines.uniform import uniform_candidates, uniform_ranking
from northstar.policy.routing.candidates import Choice
from northstar.policy.routing.ranking_terms import NO_TERMS
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

#: The cell has equal machines in the order of their names; lots that are drawn anew so often, ms, keep any of them from being always first.
_DRAWN_EVERY_MS: Final = 10_000
_PREFERENCES: Final = 65_535


class UniformPull(LeastRecentDisks):
    """An idle machine takes the head of the queue, whatever it holds; the disk drops what was used longest ago."""

    name = "uniform-lru"
    orders_models = False

    def __init__(self, *, seed: int = 0, pools: Pools | None = None) -> None:
        """`seed` is that of the lots by which idle machines are first."""
        self.pools = pools
        self._seed = seed
        self._placed = 0

    def place(
        self,
        lane: LaneKey,
        snapshot: CellSnapshot | None,
        rule: PatienceRule,  # noqa: ARG002 -- nobody waits for a holder
        *,
        index: FleetIndex | None = None,  # noqa: ARG002
        run_s: float | None = None,
        terms: RankingTerms = NO_TERMS,  # noqa: ARG002
        paces: GpuPaces | None = None,  # noqa: ARG002
    ) -> WantedLane:
        """Any machine that fits, at once, in an order that is drawn for this lane now."""
        if snapshot is None:
            return placed(lane, (), ())
        self._placed += 1
        with_it, fits = coming(lane, snapshot, run_s=run_s)
        return placed(lane, fits, uniform_ranking(COMING, with_it, seed=f"{self._seed}/{self._placed}"))

    def choose(
        self,
        snapshot: CellSnapshot,
        known: Mapping[str, Collection[Candidate]],
        rule: PatienceRule,  # noqa: ARG002
        machines: AlikeMachines | None = None,  # noqa: ARG002
        terms: RankingTerms = NO_TERMS,  # noqa: ARG002
    ) -> list[tuple[str, list[Candidate]]]:
        """All lanes at once for every machine; idle ones are drawn anew, and of busy ones nobody asks which would be first."""
        epoch = snapshot.now_ms // _DRAWN_EVERY_MS
        drawn: dict[str, list[Choice]] = {}
        for machine, choices in uniform_candidates(snapshot).items():
            state = snapshot.machines[machine]
            before = {one.lane: one.preference for one in known.get(machine, ())} if state.used >= state.slots else {}
            drawn[machine] = [
                Choice(
                    0,
                    self._preference(epoch, machine, one.subject) if one.subject not in before else before[one.subject],
                    one.subject,
                )
                for one in choices
            ]
        return differing(drawn, known)

    def _preference(self, *words: str | int) -> int:
        return int(_PREFERENCES * lot(self._seed, *words))
