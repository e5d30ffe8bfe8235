"""The machines in a view of a cell, as lists show them; and one of them in full."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from northstar.domain.machine_rows import MachineRow
from northstar.domain.machines import MachineDescription, MachineProfile
from northstar.policy.routing.snapshot import MachineStatus, status_of
from northstar.store.machine_sheets import Fetch

if TYPE_CHECKING:
    from northstar.policy.routing.snapshot import CellSnapshot, MachineState
    from northstar.store.machine_sheets import MachineSheet


class HeldModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that a machine has, and where: `resident` or `disk`. 0 bytes are not known."""

    name: str
    state: str
    size_bytes: int


class MachineView(msgspec.Struct, frozen=True, kw_only=True):
    """Everything known of one machine. What its GPUs and engines have not said is left out; `profile` is null when this version cannot read it."""

    id: str
    status: MachineStatus
    slots: int
    used: int
    waits_for_work: bool
    registered_ms: int
    vram_mb: int
    vram_used_mb: int
    profile: MachineProfile | None
    description: MachineDescription
    held: tuple[HeldModel, ...]
    fetching: tuple[Fetch, ...]


def view_of(sheet: MachineSheet) -> MachineView:
    """The sheet with names for everything."""
    status = status_of_sheet(sheet)
    held = tuple(HeldModel(name=one.name, state=one.state, size_bytes=one.size_bytes) for one in sheet.held)
    return MachineView(**(msgspec.structs.asdict(sheet) | {"status": status, "held": held}))


def status_of_sheet(sheet: MachineSheet) -> MachineStatus:
    """As lists say it: one whose engines are out is not active, though nobody drains it."""
    return status_of(is_active=sheet.status == "active", takes_work=sheet.description.takes_work and sheet.slots > 0)


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
