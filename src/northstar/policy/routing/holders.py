"""The machines that have what a lane asks for, or will have it: counted as sets, and of each set those that could begin first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from northstar.policy.routing.bit_sets import Bits, lowest
from northstar.policy.routing.ready_after import Better, First, firsts_of, load_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from northstar.policy.routing.snapshot import MachineState

#: Every machine, where GPUs are not told apart.
_OF_ONE_PACE: Final[tuple[tuple[float, Bits], ...]] = ((1.0, -1),)


class Holders(msgspec.Struct, frozen=True):
    """Machines that take work, can serve a job or a lane, and have all its models: in memory, or at least on disk, or at least soon.

    `soon` counts those too to which the rest is on its way, so that what one fetches another need not fetch for the same jobs.
    """

    resident: Better
    anywhere: Better
    soon: Better


def holders_among(
    better: Callable[[Bits, tuple[First, ...]], Better],
    machines: Sequence[MachineState],
    models: Sequence[tuple[str, int]],
    *,
    sets: tuple[Bits, Bits, Bits],
    by_pace: Sequence[tuple[float, Bits]],
    now_ms: int,
) -> Holders:
    """The holders in `sets` of `machines`: with all models in memory, at least on disk, at least soon; `better` adds up their slots.

    `by_pace` are all machines by the pace of their GPUs, the fastest first; none where no pace is known.
    """
    resident, anywhere, _ = sets
    loading_ms = load_ms(sum(size_bytes for _, size_bytes in models))

    def firsts(bits: Bits) -> tuple[First, ...]:
        found: list[First] = []
        for pace, some in by_pace or _OF_ONE_PACE:
            here = bits & some
            if here & resident:
                found.append(First(pace))
                break  # no slower one begins sooner
            if here & anywhere:
                found.append(First(pace, 0.0, loading_ms))
            elif here and (not found or found[-1].left_ms):
                left_ms = min(
                    fetch_left_ms(machines[place], models, now_ms) for place in lowest(here, here.bit_count())
                )
                found.append(First(pace, left_ms, loading_ms))
        return firsts_of(found)

    return Holders(*(better(bits, firsts(bits)) for bits in sets))


def fetch_left_ms(machine: MachineState, models: Iterable[tuple[str, int]], now_ms: int) -> float:
    """Milliseconds until what is on its way to the machine of these models should be there."""
    ends = (machine.fetching[name] for name, _ in models if name not in machine.held and name in machine.fetching)
    return float(max(0, max(ends, default=now_ms) - now_ms))
