"""What a plan says of machines that are alike, as each machine's own choices."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from northstar.policy.routing.candidates import Choice
from northstar.policy.routing.fetch_turn import turn_for
from northstar.policy.routing.model_supply import is_left_to_engine
from northstar.policy.routing.preference import preference_of

if TYPE_CHECKING:
    from northstar.policy.routing.ranking_terms import RankingTerms
    from northstar.policy.routing.snapshot import CellSnapshot, MachineState

#: (wait in ms, ms until it could start, lane), best first.
Ranking: TypeAlias = list[tuple[int, float, str]]


class OwnChoices:
    """A ranking as one machine's own: how busy it is tells it from others that are alike."""

    def __init__(self, snapshot: CellSnapshot, terms: RankingTerms) -> None:
        self._paces = terms.paces
        self._near_lanes = terms.near_lanes(snapshot)
        self._lanes = snapshot.lanes
        self._far_profiles = terms.far_profiles(snapshot)

    def of(self, machine: MachineState, ranking: Ranking) -> list[Choice]:
        """In the same order."""
        pace, near = self._paces.of(machine.gpu_class), self._near_lanes
        is_near = not near or machine.profile not in self._far_profiles
        if is_near and machine.description.keeps_models:
            return [
                Choice(wait_ms, preference_of(machine, cost_ms, pace=pace, turn=self._turn(machine, lane)), lane)
                for wait_ms, cost_ms, lane in ranking
            ]
        return [
            Choice(
                wait_ms,
                preference_of(
                    machine,
                    cost_ms,
                    pace=pace,
                    is_far=not is_near and lane in near,
                    left_to_engine=is_left_to_engine(machine, self._lanes[lane].anchors),
                    turn=self._turn(machine, lane),
                ),
                lane,
            )
            for wait_ms, cost_ms, lane in ranking
        ]

    def _turn(self, machine: MachineState, lane: str) -> int:
        return 0 if machine.used else turn_for(machine, self._lanes[lane].anchors)
