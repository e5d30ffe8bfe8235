"""`northstar up`: everything on one machine, until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from northstar.surfaces.cli.options import CellName, Config, DataDir, Valkey, run, settings_of
from northstar.surfaces.cli.printing import console, print_hint
from northstar.surfaces.cli.staying import settled

if TYPE_CHECKING:
    from northstar.assembly.front import OpenDoor
    from northstar.assembly.stack import Stack
    from northstar.config import Settings

LogJson = Annotated[bool, typer.Option("--log-json", help="Log one JSON object a line.")]
TakeHistory = Annotated[
    bool,
    typer.Option(
        "--take-history", help="Move the cell's history to the database of these settings, from another. Once."
    ),
]
LogLevel = Annotated[str | None, typer.Option("--log-level", metavar="LEVEL", help="debug, info, warning or error.")]
LogFolder = Annotated[
    Path | None,
    typer.Option(
        "--log-folder", metavar="DIR", help="Keep what is logged there too, for `northstar logs`. Default: log.folder."
    ),
]


def up(
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
    no_machines: Annotated[bool, typer.Option("--no-machines", help="Run no machines on this host.")] = False,
    take_history: TakeHistory = False,
    log_json: LogJson = False,
    log_level: LogLevel = None,
    log_folder: LogFolder = None,
) -> None:
    """Run everything on this machine: server, dispatcher, history, local machines.

    Ctrl-C or SIGTERM stops it in order; a second one ends running work at once, to be done again at the next start.
    """
    settings = with_log(
        settings_of(config, data_dir, valkey, cell), log_json=log_json, log_level=log_level, log_folder=log_folder
    )
    configure_log(settings)
    run(_up(settings, _file_of(config), no_machines=no_machines, take_history=take_history), fast=True)


def _file_of(config: Path | None) -> str:
    """Where the settings come from, as it is found from anywhere; empty: from no file."""
    from northstar.config import file_in_force

    file = file_in_force(os.environ, config)
    return "" if file is None else str(file.absolute())


def with_log(settings: Settings, *, log_json: bool, log_level: str | None, log_folder: Path | None) -> Settings:
    """The settings with what the options say of the log. Raises InvalidSettings."""
    import msgspec

    from northstar.config import InvalidSettings, LogSettings
    from northstar.domain.misfits import misfit_told

    known = msgspec.to_builtins(settings.log)
    said = {"level": log_level, "json": log_json or None, "folder": None if log_folder is None else str(log_folder)}
    try:
        log = msgspec.convert(known | {key: value for key, value in said.items() if value is not None}, LogSettings)
    except msgspec.ValidationError as exc:
        raise InvalidSettings(misfit_told(exc, LogSettings), source="option --log-level") from exc
    return msgspec.structs.replace(settings, log=log)


def configure_log(settings: Settings, **bound: str) -> None:
    """Set up what a process that stays logs, for people or programs; `bound` is said on every line."""
    from northstar import telemetry

    telemetry.configure(level=settings.log.level, json=settings.log.json, stream=None, **bound)


def keep_log(settings: Settings, process: str, *, by_default: bool = False) -> None:
    """Keep it in a file too, where one is kept; after `configure_log`, and once it is clear that the process can begin."""
    from northstar import telemetry
    from northstar.assembly.log_files import kept_log

    kept = kept_log(settings, process, by_default=by_default)
    if kept is not None:
        telemetry.also_to(kept)


async def _up(settings: Settings, settings_file: str, *, no_machines: bool, take_history: bool) -> None:
    import msgspec

    from northstar.assembly.connectors import check_services
    from northstar.assembly.stack import running_stack
    from northstar.store.embedded import RestartPolicy

    open_door = front_door()
    of_this_host = msgspec.structs.replace(settings, machines=()) if no_machines else settings
    check_services(of_this_host, environment=os.environ)
    keep_log(settings, "up", by_default=True)
    stop = asyncio.Event()
    orders = _Orders(stop)
    async with running_stack(
        settings,
        open_door=open_door,
        restart_machines=RestartPolicy(),
        no_machines=no_machines,
        take_history=take_history,
        settings_file=settings_file,
    ) as stack:
        orders.stack = stack
        settled()
        _greet(stack)
        stack.failure.add_done_callback(lambda _failure: stop.set())
        await stop.wait()
        console().print("North Star stops: machines hand back their work, the server saves its data.")
    if stack.failure.done():
        stack.failure.result()


class _Orders:
    """Signals: the first one stops in order, the next one ends the machines at once."""

    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop
        self.stack: Stack | None = None
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._take)

    def _take(self) -> None:
        if self._stop.is_set() and self.stack is not None:
            self.stack.machines.hurry()
        self._stop.set()


def front_door() -> OpenDoor:
    """What serves the broker's front. Raises FrontPartMissing where its packages are not installed."""
    from northstar.assembly.front import FrontPartMissing

    try:
        from northstar.surfaces.http.server import open_door
    except ModuleNotFoundError as exc:
        raise FrontPartMissing(exc.name or "litestar") from exc
    return open_door


def _greet(stack: Stack) -> None:
    from northstar.store.valkey import redact
    from northstar.surfaces.cli.broker_lines import broker_lines

    settings = stack.settings
    offered = sorted({name for machine in settings.machines for name in machine.services})
    out = console()
    out.print(f"North Star is up: cell {stack.cell.name}, data in {settings.data_path}", style="bold", markup=False)
    out.print(f"  server    {stack.facts.sentence()} at {redact(stack.url)}", markup=False)
    for label, line in broker_lines(stack.front.url, settings.serve):
        out.print(f"  {label:<10}{line}", style="yellow" if label == "warning" else "", markup=False)
    out.print(f"  history   {stack.history.place}", markup=False)
    names = ", ".join(machine.name for machine in settings.machines) or "none on this host"
    out.print(f"  machines  {names}" + (f" (services: {', '.join(offered)})" if offered else ""), markup=False)
    print_hint("  try       northstar status · northstar submit FILE --wait · Ctrl-C stops", style="")
    with contextlib.suppress(OSError):
        out.file.flush()
