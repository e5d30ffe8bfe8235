"""SwarmUI's rule in a simulation.

Its loop looks once a second and whenever something changes; here it looks whenever the broker plans. What it does as two steps, loading a
model onto a backend and then giving the job to it, is one here: the chosen machine takes the job and loads what it asks for. That a
model is too new for a choice is said as the time for which its first job is left alone. A machine has what its engine has in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from northstar.policy.baselines.model_pressure import (
    Backend,
    Load,
    PressureRule,
    Wanted,
    loads_now,
    serving_backend,
)
from northstar.policy.routing.candidates import MAX_CANDIDATES, Choice, lane_order
from northstar.policy.routing.ranking_terms import NO_TERMS
from northstar.simulation.policies.least_recent import LeastRecentDisks
from northstar.simulation.policies.speaking import COMING, coming, differing, placed

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from northstar.domain.pools import Pools
    from northstar.domain.requirements import LaneKey
    from northstar.policy.routing.alike import AlikeMachines
    from northstar.policy.routing.fleet_index import FleetIndex
    from northstar.policy.routing.gpu_pace import GpuPaces
    from northstar.policy.routing.ranking_terms import RankingTerms
    from northstar.policy.routing.ready_after import PatienceRule
    from northstar.policy.routing.snapshot import CellSnapshot, LaneState, MachineState
    from northstar.store.messages import Candidate, WantedLane


class ModelPressure(LeastRecentDisks):
    """One run's: it remembers since when models are wanted, when machines were used last, and what loads.

    SwarmUI keeps all models on all disks, and has no rule for what goes from one: here it is what was used longest ago.
    """

    name = "swarmui-pressure"
    orders_models = False

    def __init__(self, *, rule: PressureRule | None = None, over_queue: int = 1, pools: Pools | None = None) -> None:
        """`over_queue`: jobs that a backend takes beyond those that it runs; 1 is the default of the source's ComfyUI backends."""
        self.pools = pools
        self._over_queue = over_queue
        self._rule = rule or PressureRule()
        self._since_ms: dict[str, int] = {}
        self._used: dict[str, int] = {}
        self._released_ms: dict[str, int] = {}
        self._loads: dict[str, str] = {}
        #: What machines have loaded that run it still: they tell what is in memory when a run is over.
        self._running: set[tuple[str, str]] = set()

    def place(
        self,
        lane: LaneKey,
        snapshot: CellSnapshot | None,
        rule: PatienceRule,  # noqa: ARG002 -- it has a rule of its own
        *,
        index: FleetIndex | None = None,  # noqa: ARG002
        run_s: float | None = None,
        terms: RankingTerms = NO_TERMS,  # noqa: ARG002
        paces: GpuPaces | None = None,  # noqa: ARG002
    ) -> WantedLane:
        """The machines that have the model; where none is free, the one that would load it next."""
        if snapshot is None:
            return placed(lane, (), ())
        with_it, fits = coming(lane, snapshot, run_s=run_s)
        found = [
            Choice(one.ready_after_ms, one.preference, machine)
            for machine, choices in self._look(with_it).items()
            for one in choices
            if one.subject == COMING
        ]
        return placed(lane, fits, sorted(found)[:MAX_CANDIDATES])

    def choose(
        self,
        snapshot: CellSnapshot,
        known: Mapping[str, Collection[Candidate]],
        rule: PatienceRule,  # noqa: ARG002
        machines: AlikeMachines | None = None,  # noqa: ARG002
        terms: RankingTerms = NO_TERMS,  # noqa: ARG002
    ) -> list[tuple[str, list[Candidate]]]:
        """For every machine the lanes whose models it has, and what it is to load now."""
        return differing(self._look(snapshot), known)

    def _look(self, snapshot: CellSnapshot) -> dict[str, list[Choice]]:
        self._note_uses(snapshot)
        lanes = sorted(snapshot.lanes.values(), key=lane_order)
        working = {name: one for name, one in snapshot.machines.items() if one.takes_work}
        by_model: dict[str, list[LaneState]] = {}
        for lane in lanes:
            by_model.setdefault(_model(lane), []).append(lane)
        self._settle_loads(by_model, working)
        having = {
            model: frozenset(
                name for name, one in working.items() if (model, name) in self._running or _has(one, some[0])
            )
            for model, some in by_model.items()
        }
        found: dict[str, list[Choice]] = {name: [] for name in snapshot.machines}
        for lane in lanes:
            for name in sorted(having[_model(lane)]):
                if snapshot.fits.get((working[name].profile, lane.requirement_class)):
                    found[name].append(Choice(0, min(7, working[name].used), lane.id))
        backends, unserved = self._serve(by_model, self._backends(working, having))
        begun = [(Load(model, name), 0) for model, name in self._loads.items()]
        for load, ready_after_ms in [*begun, *self._loads_of(snapshot, unserved, working, backends)]:
            for lane in by_model[load.model]:
                if snapshot.fits.get((working[load.backend].profile, lane.requirement_class)):
                    found[load.backend].append(Choice(ready_after_ms, 0, lane.id))
        return {name: choices[:MAX_CANDIDATES] for name, choices in found.items()}

    @staticmethod
    def _serve(
        by_model: Mapping[str, Sequence[LaneState]], backends: list[Backend]
    ) -> tuple[list[Backend], dict[str, list[tuple[LaneState, int]]]]:
        """Give waiting jobs to backends that have their models and room, also behind the job that they run; what is left makes pressure."""
        free = {one.id: one for one in backends}
        unserved: dict[str, list[tuple[LaneState, int]]] = {}
        for model, lanes in by_model.items():
            for lane in lanes:
                left = max(1, lane.waiting) if lane.waits else 0
                while left and (backend := serving_backend(model, list(free.values()))) is not None:
                    free[backend.id] = msgspec.structs.replace(backend, usages=backend.usages + 1)
                    left -= 1
                if left:
                    unserved.setdefault(model, []).append((lane, left))
        return list(free.values()), unserved

    def _note_uses(self, snapshot: CellSnapshot) -> None:
        """When the number of a machine's jobs changed last; machines that are gone are forgotten."""
        for name, one in snapshot.machines.items():
            if self._used.get(name, 0) != one.used:
                self._used[name], self._released_ms[name] = one.used, snapshot.now_ms
        for name in self._used.keys() - snapshot.machines.keys():
            del self._used[name], self._released_ms[name]

    def _settle_loads(self, by_model: Mapping[str, Sequence[LaneState]], working: Mapping[str, MachineState]) -> None:
        """A load is over when the model's files are there, and forgotten where the machine works for nobody: then it never began."""
        busy = {name for name, one in working.items() if one.used}
        for model, name in list(self._loads.items()):
            if model not in by_model or name not in busy:
                del self._loads[model]
            elif _holds(working[name], by_model[model][0]):
                del self._loads[model]
                self._running.add((model, name))
        self._running = {(model, name) for model, name in self._running if name in busy and model in by_model}

    def _backends(self, working: Mapping[str, MachineState], having: Mapping[str, frozenset[str]]) -> list[Backend]:
        loading = set(self._loads.values())
        return [
            Backend(
                id=name,
                models=frozenset(model for model, names in having.items() if name in names),
                usages=one.used,
                max_usages=one.slots + self._over_queue,
                released_ms=self._released_ms.get(name, 0),
                loading=name in loading,
            )
            for name, one in sorted(working.items())
        ]

    def _loads_of(
        self,
        snapshot: CellSnapshot,
        unserved: Mapping[str, Sequence[tuple[LaneState, int]]],
        working: Mapping[str, MachineState],
        backends: Sequence[Backend],
    ) -> list[tuple[Load, int]]:
        """What is to be loaded, and how long its first job must have waited by then."""
        now_ms, rule = snapshot.now_ms, self._rule
        self._since_ms = {model: self._since_ms.get(model, now_ms) for model in unserved}
        wanted = []
        for model, waiting in unserved.items():
            fit = [_fitting(lane, snapshot, working) for lane, _ in waiting]
            wanted.append(
                Wanted(
                    model=model,
                    requests=sum(count for _, count in waiting),
                    since_ms=self._since_ms[model],
                    loading=model in self._loads,
                    for_all=frozenset.intersection(*fit),
                    for_some=frozenset.union(*fit),
                )
            )
        loads = loads_now(wanted, backends, now_ms=now_ms, rule=msgspec.structs.replace(rule, patience_ms=-1))
        found: list[tuple[Load, int]] = []
        free, left_ms = sum(one.is_available for one in backends), 0
        for load in loads:
            waited_ms = now_ms - self._since_ms[load.model]
            if free > 1:  # a model too new for a choice keeps those behind it waiting
                left_ms = max(left_ms, rule.patience_ms + 1 - waited_ms)
            found.append((load, waited_ms + left_ms if left_ms > 0 else 0))
            self._loads[load.model] = load.backend
            free -= 1
        return found


def _model(lane: LaneState) -> str:
    return "+".join(sorted(name for name, _ in lane.anchors))


def _has(machine: MachineState, lane: LaneState) -> bool:
    return all(machine.held.get(name) == "resident" for name, _ in lane.anchors)


def _holds(machine: MachineState, lane: LaneState) -> bool:
    return all(name in machine.held for name, _ in lane.anchors)


def _fitting(lane: LaneState, snapshot: CellSnapshot, working: Mapping[str, MachineState]) -> frozenset[str]:
    return frozenset(name for name, one in working.items() if snapshot.fits.get((one.profile, lane.requirement_class)))
