"""What a cell compares between machines that may take a job equally soon: one small number."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from northstar.policy.routing.fetch_turn import LAST_TURN
from northstar.policy.routing.machine_choice import next_slot_s

if TYPE_CHECKING:
    from northstar.policy.routing.snapshot import MachineState

#: A preference tells tenths of seconds up to this many of them; what takes longer is told in steps of half a per cent.
_EXACT_TENTHS: Final = 512
_STEPS_PER_DOUBLING: Final = 128
#: The most that a cell keeps of a preference (16 bits): more than a day.
_LAST: Final = 65_535
#: So many slots in use are as good as more.
_MOST_CROWDED: Final = 7


def preference_of(
    machine: MachineState,
    cost_ms: float,
    *,
    pace: float = 1.0,
    is_far: bool = False,
    left_to_engine: bool = False,
    turn: int = 0,
) -> int:
    """What the cell compares between machines that may take a job equally soon: when each has it done, and then which is emptier.

    Of the run only counts by how much longer it takes than on the fastest GPU (`Start`). 32 times what `_told` makes of the tenths of
    seconds, and how many of its slots are used, of which 7 are as good as more; one that is far from its users, where that counts, is as
    good as one with another slot used, and so is one whose engine must have models that nobody knows to be there (`model_supply`). Of
    those with none used the one goes first whose `turn` to fetch it is (`fetch_turn`). A cell keeps 16 bits of it.
    """
    tenths = 10 * next_slot_s(machine, pace=pace) + cost_ms / 100
    crowd = min(_MOST_CROWDED, machine.used + is_far + left_to_engine)
    return min(_LAST, 32 * _told(tenths) + (LAST_TURN + crowd if crowd else turn))


def _told(tenths: float) -> int:
    """Tenths of seconds, and beyond 51 s their logarithm: a fetch of an hour is told from one of two, and neither from its twin.

    >>> _told(511.9), _told(512), _told(2 * 512)
    (511, 512, 640)
    """
    if tenths < _EXACT_TENTHS:
        return max(0, int(tenths))
    return _EXACT_TENTHS + int(_STEPS_PER_DOUBLING * math.log2(tenths / _EXACT_TENTHS))
