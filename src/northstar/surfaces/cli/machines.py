"""`northstar machines`: who takes work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from northstar.domain.amounts import memory
from northstar.surfaces.cli.options import AsJson, CellName, Config, DataDir, Valkey, Yes, confirm, me, run, settings_of
from northstar.surfaces.cli.printing import console, counted, harmless, print_hint, print_json, print_table

if TYPE_CHECKING:
    from northstar.config import Settings
    from northstar.domain.machine_rows import MachineRow

Name = Annotated[str, typer.Argument(metavar="NAME")]

#: Machines of which it is told why they take no work.
_MOST_TOLD: Final = 3

COLUMNS: Final = (
    "MACHINE",
    "STATUS",
    "SLOTS",
    "BUSY",
    "POOLS",
    "SERVICES",
    "GPU",
    "VRAM",
    "REGION",
    "USD/H",
    "TAGS",
)


def list_(
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """List the registered machines."""
    rows = run(_list(settings_of(config, data_dir, valkey, cell)))
    if as_json:
        print_json({"machines": rows})
    else:
        _show(rows)


def _show(rows: list[MachineRow]) -> None:
    print_table(COLUMNS, map(machine_cells, rows))
    _tell_who_is_out([row for row in rows if row.because])


def _tell_who_is_out(rows: list[MachineRow]) -> None:
    """Why machines take no work, as far as they say; `northstar machines show` tells all of one."""
    for row in rows[:_MOST_TOLD]:
        print_hint(f"{row.id} takes no work: {harmless(row.because)}", style="yellow")
        print_hint(f"  next: northstar machines show {row.id}")
    if (more := len(rows) - _MOST_TOLD) > 0:
        print_hint(f"and {counted(more, 'machine')} more that {'takes' if more == 1 else 'take'} none", style="yellow")


def machine_cells(row: MachineRow) -> tuple[object, ...]:
    """A machine's row of the table."""
    pools, services, tags = (" ".join(names) for names in (row.pools, row.services, row.tags))
    hardware = (row.gpu or "-", _memory(row.vram_mb), row.region or "-", price(row.price_usd_per_hour))
    return row.id, row.status.replace("_", " "), row.slots, row.busy, pools, services, *hardware, tags or "-"


def _memory(vram_mb: int) -> str:
    return memory(vram_mb) if vram_mb else "-"


def price(usd_per_hour: float) -> str:
    """A price for people.

    >>> price(0.25), price(0.0)
    ('0.25', '-')
    """
    return f"{usd_per_hour:.4g}" if usd_per_hour else "-"


async def _list(settings: Settings) -> list[MachineRow]:
    from northstar.assembly.session import session
    from northstar.broker.machine_rows import rows_of
    from northstar.store.snapshots import read_snapshot

    async with session(settings) as broker:
        return rows_of(await read_snapshot(broker.cell.client, broker.cell.keys))


def drain(
    name: Name,
    undo: Annotated[bool, typer.Option("--undo", help="Give it work again.")] = False,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Give a machine no new work; what it runs goes on."""
    run(_drain(settings_of(config, data_dir, valkey, cell), name, draining=not undo))
    state = "active" if undo else "draining"
    if as_json:
        print_json({"machine": name, "status": state})
    else:
        console().print(f"{name}  {state}", markup=False)


async def _drain(settings: Settings, name: str, *, draining: bool) -> None:
    from northstar.assembly.session import new_id, session
    from northstar.broker import acts

    async with session(settings) as broker:
        await acts.drain(broker.cell, name, draining=draining, by=me(), nonce=new_id()[-16:])


def remove(
    name: Name,
    yes: Yes = False,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Forget a machine that is gone; its jobs go back to the front of their lanes. One that still runs comes back by itself."""
    settings = settings_of(config, data_dir, valkey, cell)
    confirm(f"machine {name} is removed and what it runs goes back to the queue", yes=yes, as_json=as_json)
    returned = run(_remove(settings, name))
    if as_json:
        print_json({"machine": name, "returned": returned})
    else:
        console().print(f"{name}  removed, {counted(returned, 'job')} returned to the queue", markup=False)


async def _remove(settings: Settings, name: str) -> int:
    from northstar.assembly.session import new_id, session
    from northstar.broker import acts

    async with session(settings) as broker:
        return await acts.remove(broker.cell, name, by=me(), nonce=new_id()[-16:])
