"""The machines of a snapshot in the order in which their next slot is free, the emptier first, and what is the same of some of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from northstar.policy.routing.bit_sets import Amounts, Bits, amounts, bits_by_name, bits_of
from northstar.policy.routing.links import link_class
from northstar.policy.routing.machine_choice import next_slot_s
from northstar.policy.routing.model_supply import naming_services
from northstar.policy.routing.ready_after import Better, First
from northstar.policy.routing.snapshot import MachineState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from northstar.policy.routing.gpu_pace import GpuPaces


#: Models of which it is remembered who has them; clients choose what they ask for.
_MOST_MODELS: Final = 4_096


class Having(NamedTuple):
    """Machines that have a model in memory, on disk only, and that are fetching it."""

    resident: Bits = 0
    on_disk: Bits = 0
    in_flight: Bits = 0


class ModelBits:
    """Who has which model, looked up when somebody asks for it: machines hold many models, and between two looks at a fleet few are asked for."""

    def __init__(self, machines: Sequence[MachineState]) -> None:
        self._machines = machines
        self._known: dict[str, Having] = {}

    def of(self, model: str) -> Having:
        """The machines that have this one."""
        if model not in self._known:
            if len(self._known) >= _MOST_MODELS:
                self._known.clear()
            self._known[model] = self._look(model)
        return self._known[model]

    def _look(self, model: str) -> Having:
        resident: list[int] = []
        on_disk: list[int] = []
        in_flight: list[int] = []
        for place, one in enumerate(self._machines):
            state = one.held.get(model)
            if state is not None:
                (resident if state == "resident" else on_disk).append(place)
            elif model in one.fetching:
                in_flight.append(place)
        return Having(bits_of(resident), bits_of(on_disk), bits_of(in_flight))


class Order(msgspec.Struct, frozen=True):
    """Machines sorted by when their next slot is free, and what is the same of some of them, as sets."""

    machines: list[MachineState]
    waits_s: list[float]
    profiles: dict[str, Bits]
    gpus: dict[str, Bits]
    #: Those with nothing to do; they come first.
    idle: Bits
    #: The fastest links first.
    links: list[tuple[int, Bits]]
    #: Who has which model.
    models: ModelBits
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
    profiles: dict[str, list[int]] = {}
    gpus: dict[str, list[int]] = {}
    links: dict[int, list[int]] = {}
    folderless: list[int] = []
    naming: dict[str, list[int]] = {}
    for place, (_, _, _, one) in enumerate(in_order):
        profiles.setdefault(one.profile, []).append(place)
        gpus.setdefault(one.gpu_class, []).append(place)
        links.setdefault(link_class(one.download_bytes_per_s), []).append(place)
        if not one.description.keeps_models:
            folderless.append(place)
            for service in naming_services(one):
                naming.setdefault(service, []).append(place)
    sorted_ones = [one for _, _, _, one in in_order]
    return Order(
        sorted_ones,
        [wait_s for wait_s, _, _, _ in in_order],
        bits_by_name(profiles),
        bits_by_name(gpus),
        (1 << sum(not one.used for _, _, _, one in in_order)) - 1,
        [(link, bits_of(links[link])) for link in sorted(links, reverse=True)],
        ModelBits(sorted_ones),
        bits_of(folderless),
        bits_by_name(naming),
        amounts([one.slots for _, _, _, one in in_order]),
        amounts([min(one.used, one.slots) for _, _, _, one in in_order]),
    )
