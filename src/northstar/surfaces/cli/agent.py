"""`northstar agent`: one machine anywhere, which dials its broker."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from northstar.surfaces.cli.options import Config, DataDir, run, settings_of
from northstar.surfaces.cli.up import LogJson, LogLevel, _with_log
from northstar.surfaces.cli.worker import be_machine, with_machine

if TYPE_CHECKING:
    from northstar.config import Settings
    from northstar.connectors.secret import Secret

#: Bytes of inherited settings.
_MAX_SETTINGS_BYTES = 4_000_000


def agent(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A machine of the settings, [[machines]].")],
    config: Config = None,
    data_dir: DataDir = None,
    broker: Annotated[
        str | None, typer.Option("--broker", metavar="URL", help="The broker, such as https://broker.example:8443.")
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option("--token-file", metavar="FILE", help="The machine's token. Default: in its folder.")
    ] = None,
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
    """Be one machine: dial the broker, take work, run it on the set engines, hand results back. SIGTERM drains it.

    With --service a machine that is not in the settings can be made on the spot.
    """
    from northstar import telemetry

    token = None
    if supervisor is None:
        settings = _with_log(settings_of(config, data_dir, None, None), log_json=log_json, log_level=log_level)
        settings = _with_broker(settings, broker=broker, token_file=token_file)
        settings = with_machine(settings, name, slots=slots, pools=pool, services=service)
    else:
        settings, token = _inherited(supervisor)
    telemetry.configure(level=settings.log.level, json=settings.log.json, machine=name)
    run(be_machine(settings, name, token=token), fast=True)


def _inherited(supervisor: int) -> tuple[Settings, Secret]:
    """The settings and the token that `up` hands over on our standard input; from here on we die with it."""
    import msgspec

    from northstar.assembly.lifeline import die_with
    from northstar.config import Settings
    from northstar.connectors.secret import Secret

    die_with(supervisor)
    settings = msgspec.json.decode(sys.stdin.buffer.readline(_MAX_SETTINGS_BYTES), type=Settings)
    return settings, Secret(sys.stdin.buffer.readline(_MAX_SETTINGS_BYTES).decode().strip())


def _with_broker(settings: Settings, *, broker: str | None, token_file: Path | None) -> Settings:
    """The settings with the broker as the options or the `up` on this host say. Raises NotRunning."""
    import msgspec

    from northstar.assembly.run_file import read_run_file

    known = settings.agent
    wanted = msgspec.structs.replace(
        known,
        broker=broker or known.broker or read_run_file(settings.data_path).front,
        token_file=str(token_file) if token_file else known.token_file,
    )
    return msgspec.structs.replace(settings, agent=wanted)
