"""The machines of a snapshot in the order in which their next slot is free, the emptier first, and what is the same of some of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from northstar.policy.routing.bit_sets import Amounts, Bits, amounts, bits_by_name, bits_of
from northstar.policy.routing.links import link_class
from northstar.policy.routing.machine_choice import next_slot_s
from northstar.policy.routing.model_supply import naming_services
from northstar.policy.routing.ready_after import Better, First
from northstar.policy.routing.snapshot import MachineState

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    #: Machines that keep no models folder; of them, by service, those whose engine names the models that it has.
    folderless: Bits
    naming: dict[str, Bits]
    slots: Amounts
    used: Amounts

    def better(self, bits: Bits, firsts: tuple[First, ...]) -> Better:
        """Some of them: how many, their slots, and how many of these are used; `firsts` are of them."""
        return Better(bits.bit_count(), self.slots.over(bits), self.used.over(bits), firsts)


def ordered(machines: Iterable[MachineState], vram_mb: int, paces: GpuPaces) -> Order:
    """As jobs see them that need so much memory; `paces` are of the work that they do already."""
    in_order = sorted(
        (next_slot_s(one, vram_mb, pace=paces.of(one.gpu_class)), one.used, one.id, one) for one in machines
    )
    sets: list[dict[str, list[int]]] = [{} for _ in range(5)]
    profiles, gpus, resident, on_disk, in_flight = sets
    links: dict[int, list[int]] = {}
    folderless: list[int] = []
    naming: dict[str, list[int]] = {}
    for place, (_, _, _, one) in enumerate(in_order):
        profiles.setdefault(one.profile, []).append(place)
        gpus.setdefault(one.gpu_class, []).append(place)
        links.setdefault(link_class(one.download_bytes_per_s), []).append(place)
        for name, state in one.held.items():
            (resident if state == "resident" else on_disk).setdefault(name, []).append(place)
        for name in one.fetching.keys() - one.held.keys():
            in_flight.setdefault(name, []).append(place)
        if not one.description.keeps_models:
            folderless.append(place)
            for service in naming_services(one):
                naming.setdefault(service, []).append(place)
    return Order(
        [one for _, _, _, one in in_order],
        [wait_s for wait_s, _, _, _ in in_order],
        bits_by_name(profiles),
        bits_by_name(gpus),
        [(link, bits_of(links[link])) for link in sorted(links, reverse=True)],
        bits_by_name(resident),
        bits_by_name(on_disk),
        bits_by_name(in_flight),
        bits_of(folderless),
        bits_by_name(naming),
        amounts([one.slots for _, _, _, one in in_order]),
        amounts([min(one.used, one.slots) for _, _, _, one in in_order]),
    )
