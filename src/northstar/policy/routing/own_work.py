"""Work that a machine can begin without a fetch goes before work that it would have to fetch for, within what the fetch takes.

Patience (`ready_after`) ends once the holders cannot keep up. Were a machine to go by order alone from then on, it would fetch for every job
that waits, and throw out what the jobs behind it need: a fleet that is busy or has just begun would spend itself on fetches, and wait for good
(a state that feeds itself: Bronson et al., "Metastable Failures in Distributed Systems", HotOS 2021). So while jobs wait whose models the
machine has, it leaves others alone unless they have waited longer by as much as the fetch takes. Nobody is overtaken by more than that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from northstar.policy.routing.start import Start

if TYPE_CHECKING:
    from collections.abc import Iterable

    from northstar.policy.routing.ready_after import PatienceRule
    from northstar.policy.routing.snapshot import CellSnapshot, LaneState, MachineState

#: Characters of a head (`LaneState.head`): whether its job was given back (0) or not (1), and its priority, the highest as the smallest text.
_RETURNED: Final = slice(0, 1)
_PRIORITY: Final = slice(1, 3)
_GIVEN_BACK: Final = "0"


class WaitingLanes:
    """The lanes of a snapshot where somebody waits, by the models that they ask for."""

    def __init__(self, snapshot: CellSnapshot) -> None:
        self._snapshot = snapshot
        self._bare: list[LaneState] = []
        self._asking: dict[str, list[LaneState]] = {}
        for lane in snapshot.lanes.values():
            if lane.waits and lane.anchors:
                # One of its models is enough to find it: a machine that has all has that one.
                self._asking.setdefault(lane.anchors[0][0], []).append(lane)
            elif lane.waits:
                self._bare.append(lane)

    def own_work_of(self, machine: MachineState) -> OwnWork:
        """Of a machine that is at work; one with a slot free has taken all that it may."""
        if machine.used < machine.slots:
            return OwnWork(machine, (), self._snapshot)
        fits = self._snapshot.fits
        lanes = [*self._bare, *(lane for name in machine.held for lane in self._asking.get(name, ()))]
        fitting = [(lane, 0) for lane in lanes if fits.get((machine.profile, lane.requirement_class))]
        return OwnWork(machine, fitting, self._snapshot)


class OwnWork:
    """What waits for a machine that it need not fetch for, and that it may take: by priority, since when. Empty where nothing does."""

    def __init__(self, machine: MachineState, lanes: Iterable[tuple[LaneState, int]], snapshot: CellSnapshot) -> None:
        """`lanes` are those that fit the machine, each with how long its oldest job must have waited before the machine may take it, ms.

        One without a models folder fetches nothing, so nothing of it is held back. What nobody may take now, or may not fit into the memory that
        other work leaves, holds back nothing either: it could not be begun in place of the other.
        """
        self._machine = machine
        self._now_ms = snapshot.now_ms
        self._oldest: dict[str, int] = {}
        if not machine.description.keeps_models:
            return
        for lane, wait_ms in lanes:
            is_ready = lane.waits and snapshot.now_ms - lane.oldest_ms >= wait_ms
            if is_ready and self._has_all(lane) and self._can_begin(lane, snapshot):
                priority = lane.head[_PRIORITY]
                self._oldest[priority] = min(lane.oldest_ms, self._oldest.get(priority, lane.oldest_ms))

    def __bool__(self) -> bool:
        """Whether anything does."""
        return bool(self._oldest)

    def held_back(self, start: Start, lane: LaneState, rule: PatienceRule) -> Start:
        """How the machine stands to a lane, where it stood so without work of its own.

        Work of a lower priority holds back nobody, and a job that another machine gave back is held back by nothing. Of the fetch no more
        counts than of a patience. The wait is a step of a ladder, so that it stays the same while nothing else changes; it holds until the
        next plan, which comes as soon as the machine's own work has changed.
        """
        if not self._oldest or not lane.waits or lane.head[_RETURNED] == _GIVEN_BACK or self._has_all(lane):
            return start
        priority = lane.head[_PRIORITY]
        own_ms = min((since for other, since in self._oldest.items() if other <= priority), default=None)
        longer_ms = min(start.cost_ms, rule.cap_ms)
        if own_ms is None or lane.oldest_ms + longer_ms <= own_ms:
            return start
        wait_ms = step_from(max(0, self._now_ms - lane.oldest_ms) + longer_ms, first_ms=max(1, rule.cap_ms // 2))
        return Start(start.cost_ms, max(start.wait_ms, wait_ms))

    def _has_all(self, lane: LaneState) -> bool:
        return all(name in self._machine.held for name, _ in lane.anchors)

    def _can_begin(self, lane: LaneState, snapshot: CellSnapshot) -> bool:
        wanted, profile = snapshot.classes.get(lane.requirement_class), snapshot.profiles.get(self._machine.profile)
        if wanted is None or profile is None or f"pool:{wanted.pool}" in snapshot.paused:
            return False
        return wanted.vram_mb * max(1, self._machine.slots) <= profile.vram_mb


def step_from(least_ms: float, *, first_ms: int) -> int:
    """The first step of a ladder that is not below `least_ms`: steps are `first_ms` apart, and a quarter of their height further up.

    Each is so much above the one before that a plan never takes the two for the same (`planning.is_same_wait`).

    >>> [step_from(ms, first_ms=15_000) for ms in (1, 15_000, 15_001, 61_000, 200_000)]
    [15000, 15000, 30000, 75000, 228878]
    """
    step_ms = first_ms
    while step_ms < least_ms:
        step_ms = max(step_ms + first_ms, step_ms * 5 // 4)
    return step_ms
