"""`northstar worker`: one machine on the direct link."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from northstar.surfaces.cli.options import CellName, Config, DataDir, Valkey, run, settings_of
from northstar.surfaces.cli.up import LogJson, LogLevel, _with_log

if TYPE_CHECKING:
    from northstar.config import Settings

#: Bytes of inherited settings.
_MAX_SETTINGS_BYTES = 4_000_000


def worker(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A machine of the settings, [[machines]].")],
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
    slots: Annotated[int | None, typer.Option(min=1, max=500, help="Jobs side by side.")] = None,
    pool: Annotated[
        list[str] | None, typer.Option("--pool", metavar="POOL", help="May be given several times.")
    ] = None,
    service: Annotated[
        list[str] | None, typer.Option("--service", metavar="NAME", help="A [services.NAME]; several times.")
    ] = None,
    log_json: LogJson = False,
    log_level: LogLevel = None,
    supervisor: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Be one machine: take work, run it on the set engines, hand results back. SIGTERM drains it.

    With --service a machine that is not in the settings can be made on the spot.
    """
    from northstar import telemetry

    if supervisor is None:
        settings = _with_log(settings_of(config, data_dir, valkey, cell), log_json=log_json, log_level=log_level)
        settings = _with_machine(settings, name, slots=slots, pools=pool, services=service)
    else:
        settings = _inherited(supervisor)
    telemetry.configure(level=settings.log.level, json=settings.log.json, machine=name)
    run(_worker(settings, name), fast=True)


def _inherited(supervisor: int) -> Settings:
    """The settings that `up` hands over on our standard input; from here on we die with it."""
    import msgspec

    from northstar.assembly.lifeline import die_with
    from northstar.config import Settings

    die_with(supervisor)
    return msgspec.json.decode(sys.stdin.buffer.readline(_MAX_SETTINGS_BYTES), type=Settings)


def _with_machine(
    settings: Settings, name: str, *, slots: int | None, pools: list[str] | None, services: list[str] | None
) -> Settings:
    """The settings with the machine as the options change or make it. Raises InvalidSettings."""
    import msgspec

    from northstar.config import InvalidSettings, MachineSettings

    given = {"slots": slots, "pools": pools, "services": services}
    options = {key: value for key, value in given.items() if value is not None}
    if not options:
        return settings
    known = settings.machine(name)
    if known is None and services is None:
        return settings
    fields = {} if known is None else msgspec.to_builtins(known)
    try:
        machine = msgspec.convert(fields | options | {"name": name}, MachineSettings)
    except msgspec.ValidationError as exc:
        raise InvalidSettings(str(exc), source="options of the machine") from exc
    for wanted in machine.services:
        if wanted not in settings.services:
            raise InvalidSettings(f"there is no [services.{wanted}]", source="option --service")
    others = tuple(other for other in settings.machines if other.name != name)
    return msgspec.structs.replace(settings, machines=(*others, machine))


async def _worker(settings: Settings, name: str) -> None:
    from northstar.assembly.worker import run_worker
    from northstar.demo.storyteller import storyteller

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await run_worker(settings, name, engines={"storyteller": storyteller}, environment=os.environ, stop=stop)
