"""`northstar machines fetch`, `evict` and `orders`: which models a machine shall have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from northstar.surfaces.cli.options import AsJson, CellName, Config, DataDir, Valkey, me, run, settings_of
from northstar.surfaces.cli.printing import console, moment, print_json, print_table

if TYPE_CHECKING:
    from northstar.broker.model_orders import Given
    from northstar.config import Settings
    from northstar.store.messages import StoredOrder

Machine = Annotated[str, typer.Argument(metavar="MACHINE")]
Model = Annotated[str, typer.Argument(metavar="MODEL", help="Path below the folder of its kind.")]

COLUMNS: Final = ("ORDER", "WHAT", "MODEL", "GIVEN (UTC)")


def fetch(
    machine: Machine,
    model: Model,
    sources: Annotated[
        list[str], typer.Option("--from", metavar="URL", help="https, hf, civitai, s3 or file; may be repeated.")
    ],
    sha256: Annotated[
        str, typer.Option("--sha256", metavar="HEX", help='Hash of the file, or "unknown" to take it as it comes.')
    ],
    kind: Annotated[str, typer.Option("--kind", help="checkpoint, lora, vae, llm, other, …")] = "checkpoint",
    folder: Annotated[
        str, typer.Option("--folder", help="Below the models folder. Default: the usual one of its kind.")
    ] = "",
    size_bytes: Annotated[int, typer.Option("--size", metavar="BYTES", min=0, help="0: not known.")] = 0,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Tell a machine to fetch a model. It answers when it has it; `machines orders` shows what is open."""
    wanted = {
        "name": model,
        "kind": kind,
        "folder": folder,
        "sources": sources,
        "sha256": sha256,
        "size_bytes": size_bytes,
    }
    given = run(_fetch(settings_of(config, data_dir, valkey, cell), machine, wanted))
    _say(given, f"fetch {model}", as_json=as_json)


def evict(
    machine: Machine,
    model: Model,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Tell a machine to remove a model that it fetched. One that is in use stays, and so does a file that was only found there."""
    given = run(_evict(settings_of(config, data_dir, valkey, cell), machine, model))
    _say(given, f"evict {model}", as_json=as_json)


def orders(
    machine: Machine,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """List what a machine was told to fetch or to evict and has not answered yet."""
    found = run(_orders(settings_of(config, data_dir, valkey, cell), machine))
    if as_json:
        print_json({"orders": [_row(order) for order in found]})
    else:
        print_table(COLUMNS, (tuple(_row(order).values()) for order in found))


def _row(order: StoredOrder) -> dict[str, Any]:
    return {"order": order.id, "what": order.what, "model": order.model, "given": moment(order.given_ms)}


def _say(given: Given, what: str, *, as_json: bool) -> None:
    if as_json:
        print_json(given)
    else:
        state = "ordered" if given.new else "was ordered already"
        console().print(f"{given.machine}  {what}: {state} ({given.order})", markup=False)


async def _fetch(settings: Settings, machine: str, wanted: dict[str, Any]) -> Given:
    from northstar.assembly.session import new_id, session
    from northstar.broker.model_orders import order_fetch, read_order

    order = read_order(wanted)
    async with session(settings) as broker:
        return await order_fetch(broker.cell, machine, order, order_id=new_id(), by=me())


async def _evict(settings: Settings, machine: str, model: str) -> Given:
    from northstar.assembly.session import new_id, session
    from northstar.broker.model_orders import order_eviction

    async with session(settings) as broker:
        return await order_eviction(broker.cell, machine, model, order_id=new_id(), by=me())


async def _orders(settings: Settings, machine: str) -> list[StoredOrder]:
    from northstar.assembly.session import session

    async with session(settings) as broker:
        return await broker.cell.pending_orders(machine)
