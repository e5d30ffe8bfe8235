"""`northstar serve`: the broker, where machines dial; as many as wanted over one Valkey."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING, Annotated

import typer

from northstar.surfaces.cli.options import CellName, Config, DataDir, Valkey, run, settings_of
from northstar.surfaces.cli.printing import console
from northstar.surfaces.cli.staying import settled
from northstar.surfaces.cli.up import (
    LogFolder,
    LogJson,
    LogLevel,
    TakeHistory,
    configure_log,
    front_door,
    keep_log,
    with_log,
)

if TYPE_CHECKING:
    from northstar.assembly.serve import Serve
    from northstar.config import ServeSettings, Settings


def serve(
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
    host: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Where to listen. Default: serve.host.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="Where to listen; 0 is any that is free. Default: serve.port.")
    ] = None,
    take_history: TakeHistory = False,
    log_json: LogJson = False,
    log_level: LogLevel = None,
    log_folder: LogFolder = None,
) -> None:
    """Serve machines and clients over a Valkey that runs elsewhere; keeps nothing, so start as many as you want.

    Ctrl-C or SIGTERM stops it in order: its machines dial another.
    """
    import msgspec

    settings = with_log(
        settings_of(config, data_dir, valkey, cell), log_json=log_json, log_level=log_level, log_folder=log_folder
    )
    wanted = settings.serve
    wanted = msgspec.structs.replace(
        wanted, host=wanted.host if host is None else host, port=wanted.port if port is None else port
    )
    configure_log(settings)
    keep_log(settings, "serve")
    run(_serve(msgspec.structs.replace(settings, serve=wanted), take_history=take_history), fast=True)


async def _serve(settings: Settings, *, take_history: bool) -> None:
    from northstar.assembly.serve import running_serve

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with running_serve(settings, open_door=front_door(), take_history=take_history) as running:
        settled()
        _greet(running, settings.serve)
        running.failure.add_done_callback(lambda _failure: stop.set())
        await stop.wait()
    if running.failure.done():
        running.failure.result()


def _greet(running: Serve, wanted: ServeSettings) -> None:
    from northstar.surfaces.cli.broker_lines import broker_lines

    out = console()
    out.print(f"North Star serves: cell {running.cell.name}", style="bold", markup=False)
    for label, line in broker_lines(running.front.url, wanted):
        out.print(f"  {label:<10}{line}", style="yellow" if label == "warning" else "", markup=False)
    out.print(f"  server    {running.facts.sentence()}", markup=False)
    out.print(f"  history   {running.history.place}", markup=False)
    with contextlib.suppress(OSError):
        out.file.flush()
