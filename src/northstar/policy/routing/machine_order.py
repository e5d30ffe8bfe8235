"""The machines of a snapshot in the order in which their next slot is free, and what is the same of some of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from northstar.policy.routing.bit_sets import Amounts, Bits, amounts, bits_by_name, bits_of
from northstar.policy.routing.machine_choice import link_class, next_slot_s
from northstar.policy.routing.ready_after import Better
from northstar.policy.routing.snapshot import MachineState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from northstar.policy.routing.gpu_pace import GpuPaces


class Order(msgspec.Struct, frozen=True):
    """Machines sorted by when their next slot is free, and what is the same of some of them, as sets."""

    machines: list[MachineState]
    waits_s: list[float]
    profiles: dict[str, Bits]
    gpus: dict[str, Bits]
    #: The fastest links first.
    links: list[tuple[int, Bits]]
    #: Model -> machines that have it in memory, on disk only, and that are fetching it.
    resident: dict[str, Bits]
    on_disk: dict[str, Bits]
    in_flight: dict[str, Bits]
    slots: Amounts
    used: Amounts

    def better(self, bits: Bits, by_pace: Sequence[tuple[float, Bits]] = ()) -> Better:
        """The slots of some of them, how many are used, and the pace of the fastest; `by_pace` are all machines, the fastest first."""
        pace = next((pace for pace, some in by_pace if some & bits), 1.0)
        return Better(bits.bit_count(), self.slots.over(bits), self.used.over(bits), pace=pace)


def ordered(machines: Iterable[MachineState], vram_mb: int, paces: GpuPaces) -> Order:
    """As jobs see them that need so much memory; `paces` are of the work that they do already."""
    in_order = sorted((next_slot_s(one, vram_mb, pace=paces.of(one.gpu_class)), one.id, one) for one in machines)
    sets: list[dict[str, list[int]]] = [{} for _ in range(5)]
    profiles, gpus, resident, on_disk, in_flight = sets
    links: dict[int, list[int]] = {}
    for place, (_, _, one) in enumerate(in_order):
        profiles.setdefault(one.profile, []).append(place)
        gpus.setdefault(one.gpu_class, []).append(place)
        links.setdefault(link_class(one.download_bytes_per_s), []).append(place)
        for name, state in one.held.items():
            (resident if state == "resident" else on_disk).setdefault(name, []).append(place)
        for name in one.fetching.keys() - one.held.keys():
            in_flight.setdefault(name, []).append(place)
    return Order(
        [one for _, _, one in in_order],
        [wait_s for wait_s, _, _ in in_order],
        bits_by_name(profiles),
        bits_by_name(gpus),
        [(link, bits_of(links[link])) for link in sorted(links, reverse=True)],
        bits_by_name(resident),
        bits_by_name(on_disk),
        bits_by_name(in_flight),
        amounts([one.slots for _, _, one in in_order]),
        amounts([min(one.used, one.slots) for _, _, one in in_order]),
    )
