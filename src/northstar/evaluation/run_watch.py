"""What is seen while a simulation goes and cannot be told from its jobs: where models were at admission, and what the fleet stored."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from northstar.domain.decisions import NO_MACHINE
from northstar.evaluation.measures import demand_held, replicas

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from northstar.domain.decisions import RoutingDecision
    from northstar.simulation.inputs import SimulatedJob


class Admitted(NamedTuple):
    """A job as the broker found the fleet when it took the job in."""

    #: Whether some machine that fits, of the pool that was chosen, held every anchor model of it.
    is_held: bool
    #: Whether the pool that the matrix wants had no machine that fits.
    lacked_its_pool: bool


class DemandAhead:
    """Requests of each anchor model in a stretch of time that moves on; jobs come in the order of their times."""

    def __init__(self, jobs: Iterable[SimulatedJob], *, ahead_ms: int) -> None:
        self._ahead_ms = ahead_ms
        self._uses: list[tuple[int, tuple[str, ...]]] = [
            (job.at_ms, tuple(need.name for need in job.request.requires.models if need.is_anchor)) for job in jobs
        ]
        self._first = 0
        self._end = 0
        self._counts: Counter[str] = Counter()

    def at(self, now_ms: int) -> Mapping[str, float]:
        """What is asked for from now on, for as long as is looked ahead; `now_ms` never goes back."""
        while self._end < len(self._uses) and self._uses[self._end][0] < now_ms + self._ahead_ms:
            self._counts.update(self._uses[self._end][1])
            self._end += 1
        while self._first < self._end and self._uses[self._first][0] < now_ms:
            self._counts.subtract(self._uses[self._first][1])
            self._first += 1
        return {name: count for name, count in self._counts.items() if count > 0}


class RunWatch:
    """Looks on at one run; `simulation.watching.Watch`."""

    def __init__(self, demand: DemandAhead, *, every_ms: int, from_ms: int, until_ms: int) -> None:
        """Between `from_ms` and `until_ms` it looks at what is stored."""
        self.every_ms = every_ms
        self.admitted: dict[int, Admitted] = {}
        self._demand = demand
        self._from_ms = from_ms
        self._until_ms = until_ms
        self._replicas: list[float] = []
        self._held: list[float] = []

    def admits(self, number: int, decision: RoutingDecision | None) -> None:
        """Keep what counts of a decision."""
        if decision is None:
            return
        lacked = decision.route == "waiting" or any(
            one.code == NO_MACHINE and decision.optimal in one.subject.split(", ") for one in decision.rejected
        )
        self.admitted[number] = Admitted(is_held=decision.holders > 0, lacked_its_pool=lacked)

    def sees(self, now_ms: int, held: Mapping[str, Mapping[str, int]]) -> None:
        """Copies of each stored byte, and whether what will be asked for is there."""
        if not self._from_ms <= now_ms < self._until_ms:
            return
        names = {name for models in held.values() for name in models}
        if names:
            self._replicas.append(replicas(held))
        demand = self._demand.at(now_ms)
        if demand:
            self._held.append(demand_held(demand, names))

    def figures(self) -> dict[str, float]:
        """Means over the times at which it looked; what it never saw is left out."""
        told = {"replicas": self._replicas, "demand-held": self._held}
        return {figure: sum(values) / len(values) for figure, values in told.items() if values}
