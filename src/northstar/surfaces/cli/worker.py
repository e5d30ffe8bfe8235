"""`northstar worker`: one trusted machine on the direct link."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Annotated

import typer

from northstar.surfaces.cli.options import CellName, Config, DataDir, Valkey, run, settings_of
from northstar.surfaces.cli.up import LogFolder, LogJson, LogLevel, configure_log, keep_log, with_log

if TYPE_CHECKING:
    from northstar.config import Settings
    from northstar.connectors.secret import Secret


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
    log_folder: LogFolder = None,
) -> None:
    """Be one trusted machine that reaches Valkey itself: take work, run it on the set engines, hand results back. SIGTERM drains it.

    With --service a machine that is not in the settings can be made on the spot.
    """
    import msgspec

    settings = with_log(
        settings_of(config, data_dir, valkey, cell), log_json=log_json, log_level=log_level, log_folder=log_folder
    )
    settings = with_machine(settings, name, slots=slots, pools=pool, services=service)
    # A machine that reaches Valkey itself dials nobody.
    settings = msgspec.structs.replace(settings, agent=msgspec.structs.replace(settings.agent, broker=""))
    configure_log(settings, machine=name)
    keep_log(settings, f"worker-{name}")
    run(be_machine(settings, name), fast=True)


def with_machine(
    settings: Settings, name: str, *, slots: int | None, pools: list[str] | None, services: list[str] | None
) -> Settings:
    """The settings with the machine as the options change or make it. Raises InvalidSettings."""
    import msgspec

    from northstar.config import InvalidSettings, MachineSettings
    from northstar.domain.misfits import misfit_told

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
        raise InvalidSettings(misfit_told(exc, MachineSettings), source="options of the machine") from exc
    for wanted in machine.services:
        if wanted not in settings.services:
            known_ones = ", ".join(sorted(settings.services)) or "none"
            raise InvalidSettings(f"there is no [services.{wanted}] (known: {known_ones})", source="option --service")
    others = tuple(other for other in settings.machines if other.name != name)
    return msgspec.structs.replace(settings, machines=(*others, machine))


async def be_machine(settings: Settings, name: str, *, token: Secret | None = None) -> None:
    """Run the machine until a signal stops it."""
    from northstar.assembly.worker import run_worker
    from northstar.demo.storyteller import storyteller

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    engines = {"storyteller": storyteller}
    await run_worker(settings, name, engines=engines, environment=os.environ, stop=stop, token=token)
