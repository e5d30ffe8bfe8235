"""Which copies of models there are, which more there shall be, and which shall go: ModelMesh's rules over what the broker sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from northstar.policy.baselines.copy_placement import (
    Instance,
    PlacementRule,
    in_placement_order,
    place,
    would_churn,
)
from northstar.policy.baselines.copy_rules import (
    Cluster,
    Copy,
    CopyRule,
    UseWatch,
    copies_to_add,
    requests_per_min_of,
    watched_use,
    why_no_second,
    why_stays,
)
from northstar.policy.baselines.lots import lot
from northstar.policy.routing.candidates import Choice
from northstar.simulation.policies.copy_sight import CopySight

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from northstar.policy.routing.snapshot import CellSnapshot, LaneState, MachineState

#: A lane's anchor models, which are one model to these rules.
Model = tuple[str, ...]


class CopyRules(msgspec.Struct, frozen=True, kw_only=True):
    """The rules, and how often copies are looked at."""

    copies: CopyRule = CopyRule()
    placement: PlacementRule = PlacementRule(least_room_bytes=7_000_000_000)
    #: The janitor's period.
    prunes_every_ms: int = 360_000


class _Watched(msgspec.Struct):
    """What is remembered of one model."""

    watch: UseWatch = UseWatch()
    running: int = 0
    heavy_ms: int = 0
    used_ms: int = 0
    loaded_ms: int = 0
    unloaded_ms: int = 0


class _Seen(NamedTuple):
    """One model at one look: its copies, where it may be, and how often one copy is asked, beside what that stands for."""

    model: Model
    one: _Watched
    copies: Sequence[MachineState]
    fitting: Sequence[MachineState]
    cluster: Cluster
    asked: int
    threshold: int


class CopyBook:
    """Of one run; bounded by the models and machines that there are."""

    def __init__(self, rules: CopyRules, *, seed: int) -> None:
        self._rules = rules
        self._seed = seed
        self._models: dict[Model, _Watched] = {}
        #: Copies that shall come, and those that shall go.
        self._coming: dict[Model, set[str]] = {}
        self._going: dict[Model, set[str]] = {}
        self._sight = CopySight(rules.placement)
        self._look = -1
        self._pruned_ms = 0
        self._draws = 0

    def look(self, snapshot: CellSnapshot) -> None:
        """See the cell; every ten seconds of its time copies are decided on, and every six minutes which go."""
        now_ms = snapshot.now_ms
        self._sight.note(snapshot)
        look = now_ms // self._rules.copies.check_every_ms
        if look == self._look:
            return
        self._look = look
        self._pruned_ms = self._pruned_ms or now_ms
        prunes = now_ms - self._pruned_ms >= self._rules.prunes_every_ms
        self._pruned_ms = now_ms if prunes else self._pruned_ms
        by_model: dict[Model, list[LaneState]] = {}
        for lane in snapshot.lanes.values():
            if lane.anchors:
                by_model.setdefault(_model(lane), []).append(lane)
        for model, lanes in sorted(by_model.items()):
            self._decide(model, lanes, snapshot, prunes=prunes)

    def choices(self, lane: LaneState, snapshot: CellSnapshot) -> list[Choice]:
        """The machines that may take a lane's jobs: those with a copy, or that shall have one; else the one chosen for the first."""
        fitting = _fitting([lane], snapshot)
        if not lane.anchors:
            return [Choice(0, min(7, one.used), one.id) for one in fitting]
        model = _model(lane)
        going = self._going.get(model, set())
        copies = [one for one in fitting if _holds(one, model)]
        serving = [one for one in copies if one.id not in going] or copies
        shall = self._coming.get(model, set())
        found = [Choice(0, min(7, one.used), one.id) for one in serving]
        found += [Choice(0, 8, one.id) for one in fitting if one.id in shall and one not in serving]
        return found or self._first_copy(model, lane, fitting, snapshot)

    # Deciding ---------------------------------------------------------------------------------------------------------

    def _first_copy(
        self, model: Model, lane: LaneState, fitting: Sequence[MachineState], snapshot: CellSnapshot
    ) -> list[Choice]:
        """A miss: one instance loads it. One that refuses, since it would only turn its cache over, is asked again when it would not."""
        instances = [self._sight.instance(one, snapshot) for one in fitting]
        if not instances:
            return []
        if not lane.waits:
            return []  # nobody asks for it, and nothing is loaded before somebody does
        chosen = self._place(instances, snapshot, used_ago_ms=0)
        if chosen is not None:
            self._coming.setdefault(model, set()).add(chosen)
            return [Choice(0, 0, chosen)]
        rule = self._rules.placement
        waits = [
            (rule.churn_ms - (snapshot.now_ms - (one.oldest_ms or 0)), one.id)
            for one in instances
            if would_churn(one, now_ms=snapshot.now_ms, rule=rule)
        ]
        return [Choice(max(1, left_ms), 0, name) for left_ms, name in sorted(waits)[:1]]

    def _decide(self, model: Model, lanes: Sequence[LaneState], snapshot: CellSnapshot, *, prunes: bool) -> None:
        """What the task for rates and the janitor do for one model."""
        rules, now_ms, one = self._rules.copies, snapshot.now_ms, self._models.setdefault(model, _Watched())
        fitting = _fitting(lanes, snapshot)
        copies = [machine for machine in fitting if _holds(machine, model)]
        self._settle(model, copies, fitting, now_ms)
        running = sum(lane.running for lane in lanes)
        is_used = running > one.running or any(lane.waits for lane in lanes)
        one.running = running
        if not copies:
            return
        unfinished, run_s = sum(lane.unfinished for lane in lanes), lanes[0].run_s
        seen = _Seen(
            model,
            one,
            copies,
            fitting,
            self._sight.cluster(fitting, snapshot),
            asked=int(60 * unfinished / max(run_s, 0.001) / len(copies)),
            threshold=requests_per_min_of(rules, mean_run_s=run_s, side_by_side=min(copy.slots for copy in copies)),
        )
        if seen.asked > seen.threshold * 3 // 4:
            one.heavy_ms = now_ms
        if is_used:
            one.used_ms = now_ms
            self._add(seen, snapshot)
        if prunes and len(copies) > 1:
            self._prune(seen, snapshot)

    def _add(self, seen: _Seen, snapshot: CellSnapshot) -> None:
        rules, now_ms, one = self._rules.copies, snapshot.now_ms, seen.one
        more = 0
        if len(seen.copies) == 1:
            one.watch, is_regular = watched_use(one.watch, self._look, rules)
            more = int(is_regular and not why_no_second(seen.cluster, now_ms=now_ms, rule=rules))
        settles_ms = 2 * rules.check_every_ms + 2 * rules.loads_within_ms
        if not more and now_ms - one.loaded_ms > settles_ms:
            more = copies_to_add(seen.asked, copies=len(seen.copies), cluster=seen.cluster, threshold=seen.threshold)
        shall = self._coming.setdefault(seen.model, set())
        # What was decided before and has not come yet is part of what is wanted now.
        for _ in range(more - len(shall)):
            others = [
                self._sight.instance(machine, snapshot)
                for machine in seen.fitting
                if machine not in seen.copies and machine.id not in shall
            ]
            chosen = self._place(others, snapshot, used_ago_ms=-20_000)
            if chosen is None:
                break
            shall.add(chosen)

    def _prune(self, seen: _Seen, snapshot: CellSnapshot) -> None:
        one = seen.one
        copy = Copy(
            copies=len(seen.copies),
            last_used_ms=one.used_ms,
            last_heavy_ms=one.heavy_ms,
            last_load_ms=one.loaded_ms,
            last_unload_ms=one.unloaded_ms,
            requests_per_min=seen.asked,
        )
        rules, now_ms = self._rules, snapshot.now_ms
        if why_stays(copy, seen.cluster, now_ms=now_ms, threshold=seen.threshold, rule=rules.copies):
            return
        # Of all that hold it that copy goes which stands where a new model would be put last.
        instances = [self._sight.instance(machine, snapshot) for machine in seen.copies]
        last = in_placement_order(instances, rules.placement)[-1]
        self._going.setdefault(seen.model, set()).add(last.id)
        one.unloaded_ms = now_ms

    def _settle(
        self, model: Model, copies: Sequence[MachineState], fitting: Sequence[MachineState], now_ms: int
    ) -> None:
        """Copies that came are no longer to come, those that went no longer to go, and machines that are gone are forgotten."""
        here = {machine.id for machine in copies}
        shall = self._coming.get(model, set())
        if shall & here:
            self._models[model].loaded_ms = now_ms
        self._coming[model] = (shall - here) & {machine.id for machine in fitting}
        self._going[model] = self._going.get(model, set()) & here if len(here) > 1 else set()

    def _place(self, instances: Sequence[Instance], snapshot: CellSnapshot, *, used_ago_ms: int) -> str | None:
        self._draws += 1
        drawn = lot(self._seed, self._draws)
        found = place(
            instances, now_ms=snapshot.now_ms, used_ago_ms=used_ago_ms, drawn=drawn, rule=self._rules.placement
        )
        return None if found is None else found.id


def _model(lane: LaneState) -> Model:
    return tuple(sorted(name for name, _ in lane.anchors))


def _holds(machine: MachineState, model: Model) -> bool:
    return all(name in machine.held or name in machine.fetching for name in model)


def _fitting(lanes: Sequence[LaneState], snapshot: CellSnapshot) -> list[MachineState]:
    fits: Mapping[tuple[str, str], bool] = snapshot.fits
    return [
        machine
        for machine in snapshot.machines.values()
        if machine.takes_work and any(fits.get((machine.profile, lane.requirement_class)) for lane in lanes)
    ]
