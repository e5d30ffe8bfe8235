"""The machines in a view of a cell, as lists show them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from northstar.domain.machine_rows import MachineRow

if TYPE_CHECKING:
    from northstar.policy.routing.snapshot import CellSnapshot, MachineState


def rows_of(view: CellSnapshot) -> list[MachineRow]:
    """All of them by name."""
    return [_row(view.machines[name], view) for name in sorted(view.machines)]


def _row(machine: MachineState, view: CellSnapshot) -> MachineRow:
    # A profile that this version cannot read is not in the view; its machine is shown without what it offers.
    profile = view.profiles.get(machine.profile)
    return MachineRow(
        id=machine.id,
        status=machine.status,
        because=machine.out_because,
        slots=machine.slots,
        busy=machine.used,
        waits_for_work=machine.parked,
        pools=profile.pools if profile else (),
        services=profile.services if profile else (),
        vram_mb=profile.vram_mb if profile else 0,
        gpu=machine.description.gpu,
        region=machine.description.region,
        price_usd_per_hour=machine.description.price_usd_per_hour,
        tags=profile.tags if profile else (),
        models=machine.held,
    )
