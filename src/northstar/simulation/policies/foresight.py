"""Belady's eviction in a simulation: some policy's routing, and a disk that drops what will be asked for last, since the workload is known."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from northstar.policy.baselines.ordered_eviction import plan_farthest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from northstar.policy.models.eviction import Candidate, EvictionPlan, EvictionRule
    from northstar.simulation.inputs import SimulatedJob
    from northstar.simulation.policy import FleetPolicy


class Foresight:
    """When each file is asked for, of a workload that is read twice: once to know it, and once, watched, to know how far it is.

    A file's next use is the next job that asks for it, wherever it will run; of jobs that wait already the use is past.
    """

    def __init__(self, workload: Iterable[SimulatedJob]) -> None:
        """All of the workload; of it are kept the times at which each file is asked for."""
        self._uses: dict[str, list[int]] = {}
        for job in workload:
            for need in job.request.requires.models:
                self._uses.setdefault(need.name, []).append(job.at_ms)
        self._now_ms = -1

    def watched(self, workload: Iterable[SimulatedJob]) -> Iterator[SimulatedJob]:
        """The same workload, for the engine to read, which reads one job further than it is."""
        for job in workload:
            yield job
            self._now_ms = job.at_ms

    def next_use(self, names: Iterable[str]) -> dict[str, float]:
        """File -> when a job asks for it next, ms; those that none does any more are left out."""
        found: dict[str, float] = {}
        for name in names:
            uses = self._uses.get(name, [])
            place = bisect_right(uses, self._now_ms)
            if place < len(uses):
                found[name] = uses[place]
        return found


class FarthestUse:
    """Another policy, with evictions by foresight."""

    def __init__(self, of: FleetPolicy, foresight: Foresight) -> None:
        self.name = f"{of.name}-belady"
        self.pools = of.pools
        self.orders_models = of.orders_models
        self.place = of.place
        self.choose = of.choose
        self._foresight = foresight

    def evict(
        self,
        candidates: Sequence[Candidate],
        *,
        need_bytes: int,
        rule: EvictionRule,  # noqa: ARG002
        names: Mapping[str, str],
    ) -> EvictionPlan:
        """What is asked for last."""
        files = {one.name: names.get(one.name, one.name) for one in candidates}
        uses = self._foresight.next_use(files.values())
        by_candidate = {name: uses[file] for name, file in files.items() if file in uses}
        return plan_farthest(candidates, need_bytes=need_bytes, next_use=by_candidate)
