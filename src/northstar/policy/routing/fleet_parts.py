"""The machines that fit a job, by what they lack of its models, and of each such set the first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from northstar.policy.routing.bit_sets import Bits, around, lowest
from northstar.policy.routing.fetch_turn import fetch_turn, largest_of, lot_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from northstar.policy.routing.machine_choice import JobNeed
    from northstar.policy.routing.machine_order import Order
    from northstar.policy.routing.snapshot import MachineState

#: Sets that one choice splits its machines into, at most; the models that would split further, the smallest, do not.
MAX_PARTS: Final = 256
#: Idle machines that one choice draws lots for, at most; as many as it ranks at most.
MOST_IDLE: Final = 64


class Part(msgspec.Struct, frozen=True, gc=False):
    """Machines that lack the same: bytes that none of them has, bytes that are not in memory, and models that are on their way.

    With `left_to_engine` their engines must have some that they are not known to hold.
    """

    bits: Bits
    missing: int
    unloaded: int
    fetching: bool
    left_to_engine: bool = False


def turn_in(machine: MachineState, part: Part, job: JobNeed) -> int:
    """Whose turn it is of the machines of a part, where they must fetch."""
    if machine.used or not part.missing or not machine.description.keeps_models:
        return 0
    return fetch_turn(machine, largest_of(job.models), part.missing)


def in_turn(
    order: Order, bits: Bits, part: Part, job: JobNeed, count: int, *, is_far: bool
) -> Iterator[tuple[int, int]]:
    """So many machines of a part with links of one class, the soonest first, as (turn, place); of idle ones that must fetch by turns.

    Of more than some idle ones no more are looked at: other ones for another model.
    """
    idle = bits & order.idle if part.missing and not is_far else 0
    some = around(idle, max(count, MOST_IDLE), share=lot_of(largest_of(job.models))) if idle else ()
    turns = sorted((turn_in(order.machines[place], part, job), place) for place in some)[:count]
    yield from turns
    yield from ((0, place) for place in lowest(bits ^ idle, count - len(turns)))


def parted(order: Order, fitting: Bits, job: JobNeed) -> list[Part]:
    """The machines in `fitting` by what they lack of the job's models, its largest."""
    parts = [Part(fitting, 0, 0, fetching=False)] if fitting else []
    unnamed = order.folderless & order.naming.get(job.wanted.service, 0)
    may_have = order.folderless ^ unnamed
    for name, size in job.largest():
        warm, cold, flying = order.models.of(name)
        here = warm | cold | flying
        if len(parts) >= MAX_PARTS:
            break
        split: list[Part] = []
        for part in parts:
            bits, missing, unloaded, left = part.bits, part.missing, part.unloaded, part.left_to_engine
            if found := bits & warm:
                split.append(Part(found, missing, unloaded, part.fetching, left))
            if found := bits & cold:
                split.append(Part(found, missing, unloaded + size, part.fetching, left))
            if found := bits & flying:
                split.append(Part(found, missing, unloaded + size, fetching=True, left_to_engine=left))
            absent = bits ^ (bits & here)
            if found := absent ^ (absent & order.folderless):
                split.append(Part(found, missing + size, unloaded + size, part.fetching, left))
            if found := absent & may_have:
                split.append(Part(found, missing, unloaded + size, part.fetching, left_to_engine=True))
            if found := absent & unnamed:
                split.append(Part(found, missing + size, unloaded + size, part.fetching, left_to_engine=True))
        parts = split
    return parts
