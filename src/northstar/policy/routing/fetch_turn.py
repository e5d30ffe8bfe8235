"""Which of the machines fetches that would have a job done equally soon by a fetch: one with room for it, and of these one by lot.

Were it always the first by name, the first few machines of a fleet would fetch everything, and each time drop what they fetched before
and will fetch again, while the disks of the others kept what nobody asks for. So each model draws a lot for each machine, and the least
goes first: models spread over the disks of the fleet, and one that was dropped comes back to where it was (rendezvous hashing: Thaler and
Ravishankar, "Using name-based mappings to increase hit rates", IEEE/ACM Transactions on Networking 6, 1998). Nobody has to remember
anything for that, and all brokers draw the same.
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.policy.routing.snapshot import MachineState

#: Turns of machines with room for what is missing; as many come after them, for those without.
_TURNS: Final = 12
#: Turns are whole numbers up to this one; 0 is first.
LAST_TURN: Final = 2 * _TURNS - 1
#: Draws that are remembered: those of a few hundred models, each for the machines that one choice looks at.
_MOST_KEPT: Final = 32_768
_ALL: Final = 0xFFFFFFFF


def fetch_turn(machine: MachineState, model: str, missing_bytes: int) -> int:
    """Whose turn it is of machines that lack the same: 0 to 23, lower first, and of equal ones the first by name.

    The cube root of a lot tells it, so that few share the first turn that is drawn, be they two or two thousand: the last turn is drawn by
    a quarter of all, the first by one in 1,728.

    Args:
        machine: it is idle, and fetches.
        model: the largest model of the job.
        missing_bytes: what would be fetched.
    """
    turn = _drawn(machine.id, model)
    return turn if machine.free_disk_bytes >= missing_bytes else turn + _TURNS


def turn_for(machine: MachineState, anchors: Sequence[tuple[str, int]]) -> int:
    """The same for models given as (name, bytes); 0 where the machine has something to do already, or fetches none of them anew.

    >>> from northstar.policy.routing.snapshot import MachineState
    >>> some = MachineState(id="m", profile="p", slots=1, used=0, active=True, parked=True, held={"sdxl": "disk"})
    >>> turn_for(some, (("sdxl", 7_000_000_000),)), turn_for(some, (("flux", 24_000_000_000),))
    (0, 19)
    """
    if machine.used or not anchors or not machine.description.keeps_models:
        return 0
    missing = sum(size for name, size in anchors if name not in machine.held and name not in machine.fetching)
    return fetch_turn(machine, largest_of(anchors), missing) if missing else 0


def lot_of(model: str) -> float:
    """What the model itself draws, of [0, 1).

    >>> lot_of("sdxl") == lot_of("sdxl"), lot_of("sdxl") == lot_of("flux")
    (True, False)
    """
    return _lot("", model) / (_ALL + 1)


def largest_of(models: Sequence[tuple[str, int]]) -> str:
    """The largest of some models, of equals the first by name."""
    return min(models, key=lambda model: (-model[1], model[0]))[0]


@lru_cache(maxsize=_MOST_KEPT)
def _drawn(machine: str, model: str) -> int:
    return int(_TURNS * (_lot(machine, model) / (_ALL + 1)) ** (1 / 3))


def _lot(machine: str, model: str) -> int:
    """A whole number of 32 bits that is as good as random, and follows from both names (CRC-32, mixed as MurmurHash3 ends)."""
    mixed = zlib.crc32(model.encode(), zlib.crc32(machine.encode()))
    mixed = ((mixed ^ mixed >> 16) * 0x85EBCA6B) & _ALL
    mixed = ((mixed ^ mixed >> 13) * 0xC2B2AE35) & _ALL
    return mixed ^ mixed >> 16
