"""Work that a machine can begin without a fetch goes before work that it would have to fetch for, within what the fetch takes.

Patience (`ready_after`) ends once the holders cannot keep up. Were a machine to go by order alone from then on, it would fetch for every job
that waits, and throw out what the jobs behind it need: a fleet that is busy or has just begun would spend itself on fetches, and wait for good
(a state that feeds itself: Bronson et al., "Metastable Failures in Distributed Systems", HotOS 2021). So while jobs wait whose models the
machine has, it leaves others alone unless they have waited longer by as much as the fetch takes. Nobody is overtaken by more than that.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from northstar.policy.routing.start import Start

if TYPE_CHECKING:
    from collections.abc import Iterable

    from northstar.policy.routing.ready_after import PatienceRule
    from northstar.policy.routing.snapshot import LaneState, MachineState

#: Characters of a head (`LaneState.head`): whether its job was given back (0) or not (1), and its priority, the highest as the smallest text.
_RETURNED: Final = slice(0, 1)
_PRIORITY: Final = slice(1, 3)
_GIVEN_BACK: Final = "0"


class OwnWork:
    """What waits for a machine that it need not fetch for: by priority, since when. Empty where nothing does."""

    def __init__(self, machine: MachineState, lanes: Iterable[LaneState]) -> None:
        """`lanes` are those that the machine may take. One without a models folder fetches nothing, so nothing of it is held back."""
        self._machine = machine
        self._oldest: dict[str, int] = {}
        if not machine.description.keeps_models:
            return
        for lane in lanes:
            if lane.waits and self._has_all(lane):
                priority = lane.head[_PRIORITY]
                self._oldest[priority] = min(lane.oldest_ms, self._oldest.get(priority, lane.oldest_ms))

    def __bool__(self) -> bool:
        """Whether anything does."""
        return bool(self._oldest)

    def held_back(self, start: Start, lane: LaneState, *, now_ms: int, rule: PatienceRule) -> Start:
        """How the machine stands to a lane, where it stood so without work of its own.

        Work of a lower priority holds back nobody, and a job that another machine gave back is held back by nothing. Of the fetch no more
        counts than of a patience. The wait is a multiple of half of that, so that it stays the same while nothing else changes; it holds
        until the next plan, which comes as soon as the machine's own work has changed.
        """
        if not self._oldest or not lane.waits or lane.head[_RETURNED] == _GIVEN_BACK or self._has_all(lane):
            return start
        priority = lane.head[_PRIORITY]
        own_ms = min((since for other, since in self._oldest.items() if other <= priority), default=None)
        longer_ms = min(start.cost_ms, rule.cap_ms)
        if own_ms is None or lane.oldest_ms + longer_ms <= own_ms:
            return start
        step_ms = max(1, rule.cap_ms // 2)
        wait_ms = step_ms * math.ceil((max(0, now_ms - lane.oldest_ms) + longer_ms) / step_ms)
        return Start(start.cost_ms, max(start.wait_ms, wait_ms))

    def _has_all(self, lane: LaneState) -> bool:
        return all(name in self._machine.held for name, _ in lane.anchors)
