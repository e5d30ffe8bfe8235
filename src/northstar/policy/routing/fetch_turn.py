"""Which of the machines fetches that would have a job done equally soon by a fetch: one with room for it, and of these one by lot.

Were it always the first by name, the first few machines of a fleet would fetch everything, and each time drop what they fetched before
and will fetch again, while the disks of the others kept what nobody asks for. So each model draws a lot for each machine, and the least
goes first: models spread over the disks of the fleet, and one that was dropped comes back to where it was (rendezvous hashing: Thaler and
Ravishankar, "Using name-based mappings to increase hit rates", IEEE/ACM Transactions on Networking 6, 1998). Nobody has to remember
anything for that, and all brokers draw the same.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.policy.routing.snapshot import MachineState

#: Turns are whole numbers up to this one; 0 is first.
LAST_TURN: Final = 8
#: Without room for what is missing a machine comes at this turn at the earliest.
_WITHOUT_ROOM: Final = 4
_ALL: Final = 0xFFFFFFFF


def fetch_turn(machine: MachineState, model: str, missing_bytes: int) -> int:
    """Whose turn it is of machines that lack the same: 0 to 8, lower first.

    Each turn is drawn a quarter as often as the one after it, so that in a fleet of hundreds few share the first that is drawn.

    Args:
        machine: it is idle, and fetches.
        model: the largest model of the job.
        missing_bytes: what would be fetched.
    """
    above = max(0, _lot(machine.id, model).bit_length() - 24) // 2
    return above if machine.free_disk_bytes >= missing_bytes else min(LAST_TURN, _WITHOUT_ROOM + above)


def turn_for(machine: MachineState, anchors: Sequence[tuple[str, int]]) -> int:
    """The same for models given as (name, bytes); 0 where the machine has something to do already, or fetches none of them anew.

    >>> from northstar.policy.routing.snapshot import MachineState
    >>> some = MachineState(id="m", profile="p", slots=1, used=0, active=True, parked=True, held={"sdxl": "disk"})
    >>> turn_for(some, (("sdxl", 7_000_000_000),)), turn_for(some, (("flux", 24_000_000_000),))
    (0, 7)
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


def _lot(machine: str, model: str) -> int:
    """A whole number of 32 bits that is as good as random, and follows from both names (CRC-32, mixed as MurmurHash3 ends)."""
    mixed = zlib.crc32(model.encode(), zlib.crc32(machine.encode()))
    mixed = ((mixed ^ mixed >> 16) * 0x85EBCA6B) & _ALL
    mixed = ((mixed ^ mixed >> 13) * 0xC2B2AE35) & _ALL
    return mixed ^ mixed >> 16
