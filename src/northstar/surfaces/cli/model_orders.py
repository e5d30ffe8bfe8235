"""`northstar machines fetch`, `evict` and `orders`: which models a machine shall have, and what became of it."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from northstar.domain.refusals import NoSuchMachine
from northstar.surfaces.cli.exit_codes import FAILED, UNAVAILABLE
from northstar.surfaces.cli.options import AsJson, CellName, Config, DataDir, Valkey, me, run, settings_of
from northstar.surfaces.cli.printing import console, harmless, moment, print_error, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.assembly.session import Session
    from northstar.broker.model_orders import Given
    from northstar.broker.order_past import MachineOrders, OrderEnded
    from northstar.config import Settings
    from northstar.domain.errors import NorthstarError
    from northstar.domain.machine_resources import OpenOrder

Machine = Annotated[str, typer.Argument(metavar="MACHINE")]
Model = Annotated[str, typer.Argument(metavar="MODEL", help="Path below the folder of its kind.")]

Wait = Annotated[
    bool, typer.Option("--wait", help="Wait until the machine has answered; exit code 1 if it could not do it.")
]
Timeout = Annotated[
    float, typer.Option("--timeout", metavar="SECONDS", min=0.1, max=604_800, help="With --wait: no longer.")
]
_WAIT_S: Final = 600.0
_LEFT: Final = "the machine left before it could; order it again when it is back"

COLUMNS: Final = ("ORDER", "WHAT", "MODEL", "GIVEN (UTC)")
ENDED_COLUMNS: Final = ("ORDER", "WHAT", "MODEL", "ENDED (UTC)", "OUTCOME", "CODE", "MESSAGE")


@dataclass(frozen=True, kw_only=True)
class Done:
    """An order that was given, and how it ended if that was waited for."""

    what: str
    given: Given
    ended: OrderEnded | None


def fetch(
    machine: Machine,
    model: Model,
    sources: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="URL",
            help="https, hf, civitai, s3 or file; may be repeated. Default: as the catalogue says.",
        ),
    ] = None,
    sha256: Annotated[
        str,
        typer.Option(
            "--sha256", metavar="HEX", help='With --from: the file\'s hash, or "unknown" to take it as it comes.'
        ),
    ] = "",
    kind: Annotated[str, typer.Option("--kind", help="checkpoint, lora, vae, llm, other, …")] = "checkpoint",
    folder: Annotated[
        str, typer.Option("--folder", help="Below the models folder. Default: the usual one of its kind.")
    ] = "",
    size_bytes: Annotated[int, typer.Option("--size", metavar="BYTES", min=0, help="0: not known.")] = 0,
    wait: Wait = False,
    timeout_s: Timeout = _WAIT_S,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Tell a machine to fetch a model: one of the catalogue, or a file with --from and --sha256. It answers when it has it, or cannot have it: --wait waits for that, `machines orders --all` tells it later."""
    wanted = {
        "name": model,
        "kind": kind,
        "folder": folder,
        "sources": sources or [],
        "sha256": sha256,
        "size_bytes": size_bytes,
    }
    by_catalogue = not (sources or sha256 or folder or size_bytes)
    if not by_catalogue and not (sources and sha256):
        from northstar.broker.model_orders import ModelOrderInvalid

        raise ModelOrderInvalid(
            'name both --from and --sha256 (or "unknown" on purpose), or neither for a model of the catalogue'
        )
    settings = settings_of(config, data_dir, valkey, cell)
    done = run(_fetch(settings, machine, model if by_catalogue else wanted, wait_s=timeout_s if wait else None))
    _say_all(done, as_json=as_json)


def evict(
    machine: Machine,
    model: Model,
    wait: Wait = False,
    timeout_s: Timeout = _WAIT_S,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Tell a machine to remove a model that it fetched. One that is in use stays, and so does a file that was only found there."""
    settings = settings_of(config, data_dir, valkey, cell)
    done = run(_evict(settings, machine, model, wait_s=timeout_s if wait else None))
    _say_all([done], as_json=as_json)


def orders(
    machine: Machine,
    every: Annotated[
        bool, typer.Option("--all", help="Those that have ended too, the latest first, and why they failed.")
    ] = False,
    limit: Annotated[
        int, typer.Option(min=1, max=500, metavar="N", help="With --all: at most so many ended ones.")
    ] = 20,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """List what a machine was told to fetch or to evict and has not answered yet; --all what it has answered, and how."""
    settings = settings_of(config, data_dir, valkey, cell)
    told, fault = run(_orders(settings, machine, ended=limit if every else 0))
    if as_json:
        kept = {"ended": told.ended, "is_whole": told.is_whole} if every else {}
        print_json({"orders": [_row(order) for order in told.orders], **kept})
    else:
        if told.orders or not every:
            print_table(COLUMNS, (tuple(_row(order).values()) for order in told.orders))
        if every:
            print_table(ENDED_COLUMNS, map(_ended_cells, told.ended))
        elif not told.orders:
            console().print("none is open; --all shows those that have ended", style="dim", markup=False)
    if fault is not None:
        print_error(fault, about="what is older is missing")
        raise typer.Exit(UNAVAILABLE)


def _row(order: OpenOrder) -> dict[str, Any]:
    return {"order": order.order, "what": order.what, "model": order.model, "given": moment(order.given_ms)}


def _ended_cells(one: OrderEnded) -> tuple[object, ...]:
    why = (one.code or "-", one.message or "-")
    return one.order, one.what or "?", one.model, moment(one.ended_ms), one.outcome, *why


def _say_all(done: list[Done], *, as_json: bool) -> None:
    """What was ordered, or what became of it: then an order that was not carried out is the command's exit code."""
    if as_json:
        said = [one.given if one.ended is None else one.ended for one in done]
        print_json(said[0] if len(said) == 1 else {"orders": said})
    for one in done:
        if not as_json:
            _say(one)
    if any(one.ended is not None and one.ended.outcome != "done" for one in done):
        raise typer.Exit(FAILED)


def _say(done: Done) -> None:
    """Whose order it was and what was ordered come first in every line, whatever became of it."""
    given, ended = done.given, done.ended
    if ended is None:
        state = "ordered" if given.new else "was ordered already"
        console().print(f"{given.machine}  {done.what}: {state} ({given.order})", markup=False)
    elif ended.outcome == "done":
        console().print(f"{given.machine}  {done.what}: done ({given.order})", markup=False)
    else:
        # A machine that left is no longer registered, which is what its orders end by.
        code, said = (ended.code, ended.message) if ended.outcome == "failed" else (NoSuchMachine.code, _LEFT)
        sys.stderr.write(f"{harmless(code)}: {given.machine}  {done.what}: {harmless(said)} ({given.order})\n")


async def _fetch(settings: Settings, machine: str, wanted: dict[str, Any] | str, *, wait_s: float | None) -> list[Done]:
    """Order what is wanted, or what the catalogue says of a name; several files are fetched side by side."""
    from northstar.assembly.session import new_id, session
    from northstar.broker.model_orders import order_all, read_order

    order = wanted if isinstance(wanted, str) else read_order(wanted)
    async with session(settings) as broker:
        ordered = await order_all(broker.cell, machine, order, new_id=new_id, by=me())
        whats = [f"fetch {one.name}" for one, _ in ordered]
        return await _answered(broker, whats, [given for _, given in ordered], wait_s=wait_s)


async def _evict(settings: Settings, machine: str, model: str, *, wait_s: float | None) -> Done:
    from northstar.assembly.session import new_id, session
    from northstar.broker.model_orders import order_eviction

    async with session(settings) as broker:
        given = await order_eviction(broker.cell, machine, model, order_id=new_id(), by=me())
        (done,) = await _answered(broker, [f"evict {model}"], [given], wait_s=wait_s)
        return done


async def _answered(
    broker: Session, whats: Sequence[str], given: Sequence[Given], *, wait_s: float | None
) -> list[Done]:
    """The orders, and how they ended where that is waited for, all of them together no longer than `wait_s`."""
    from northstar.assembly.job_past import order_past

    if wait_s is None:
        return [Done(what=what, given=one, ended=None) for what, one in zip(whats, given, strict=True)]
    # Whoever stops waiting can still look at them. Not on the standard output: that is for what became of them.
    named = ", ".join(f"{what} ({one.order})" for what, one in zip(whats, given, strict=True))
    sys.stderr.write(f"waiting for {given[0].machine}  {named}\n")
    clock = asyncio.get_running_loop()
    until = clock.time() + wait_s
    async with order_past(broker) as past:
        return [
            Done(
                what=what,
                given=one,
                ended=await past.answer(one.machine, one.order, timeout_s=max(0.0, until - clock.time())),
            )
            for what, one in zip(whats, given, strict=True)
        ]


async def _orders(settings: Settings, machine: str, *, ended: int) -> tuple[MachineOrders, NorthstarError | None]:
    """The open ones; and at most `ended` of the others, unless that is 0, with the reason why older ones cannot be read."""
    from northstar.assembly.job_past import order_past
    from northstar.assembly.session import session
    from northstar.broker.order_past import OrderPast, orders_of

    async with session(settings) as broker:
        if not ended:
            return await orders_of(broker.cell, OrderPast(broker.cell, None), machine, ended=0), None
        async with order_past(broker) as past:
            return await orders_of(broker.cell, past, machine, ended=ended), past.fault
