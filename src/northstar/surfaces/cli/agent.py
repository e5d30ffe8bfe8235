"""`northstar agent`: one machine anywhere, which dials its broker."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from northstar.domain.errors import InvalidRequest
from northstar.surfaces.cli.options import Config, DataDir, run, settings_of
from northstar.surfaces.cli.up import LogJson, LogLevel, _with_log
from northstar.surfaces.cli.worker import be_machine, with_machine

if TYPE_CHECKING:
    from northstar.config import MachineSettings, Settings
    from northstar.domain.admission import Announcement

#: Bytes of a file with an invite.
_MAX_INVITE_BYTES = 1_024


def agent(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The machine's name. Default with --join: the host's name.")
    ] = None,
    config: Config = None,
    data_dir: DataDir = None,
    broker: Annotated[
        str | None, typer.Option("--broker", metavar="URL", help="The broker, such as https://broker.example:8443.")
    ] = None,
    join: Annotated[
        str | None,
        typer.Option(
            "--join", metavar="URL", envvar="NORTHSTAR_JOIN", help="Join the broker there first, by an invite; once."
        ),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            metavar="INVITE",
            envvar="NORTHSTAR_INVITE",
            help="The invite, nsi_…, for --join. On the command line, others on this host can read it.",
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            metavar="FILE",
            help="With --join: a file with the invite. Else: one with the machine's token, nsm_…; "
            "default: DATA/machines/NAME/token, where joining left it.",
        ),
    ] = None,
    slots: Annotated[int | None, typer.Option(min=1, max=500, help="Jobs side by side.")] = None,
    pool: Annotated[
        list[str] | None, typer.Option("--pool", metavar="POOL", help="May be given several times.")
    ] = None,
    service: Annotated[
        list[str] | None,
        typer.Option(
            "--service",
            metavar="NAME",
            help="A [services.NAME] of the settings; several times. Default, for a machine that the settings do not have: "
            "what their first machine offers.",
        ),
    ] = None,
    log_json: LogJson = False,
    log_level: LogLevel = None,
) -> None:
    """Be one machine: dial the broker, take work, run it on the set engines, hand results back. SIGTERM drains it.

    With --join the same command may be run at every start: a machine that has joined goes on as the one it is. With --service a
    machine that is not in the settings can be made on the spot.
    """
    from northstar import telemetry

    name = name or (_host_name() if join else None)
    if name is None:
        raise MachineNameMissing
    settings = _with_log(settings_of(config, data_dir, None, None), log_json=log_json, log_level=log_level)
    telemetry.configure(level=settings.log.level, json=settings.log.json, machine=name)
    offered = tuple(service or _default_services(settings))
    if join is not None:
        described = with_machine(settings, name, slots=slots, pools=pool, services=service)
        invite = token or (_invite_in(token_file) if token_file else None)
        announces = _announcement(described.machine(name), known=settings.machine(name) is not None, pools=pool)
        settings = run(_joined(settings, name, url=join, invite=invite, services=offered, announces=announces))
    else:
        settings = _with_broker(settings, name, broker=broker, token_file=token_file, services=offered)
    settings = with_machine(settings, name, slots=slots, pools=pool, services=service)
    run(be_machine(settings, name), fast=True)


class MachineNameMissing(InvalidRequest):
    """It is not said which machine this is."""

    code = "NS_MACHINE_NAME_MISSING"

    def __init__(self) -> None:
        super().__init__("say which machine this is: northstar agent NAME")


def _invite_in(path: Path) -> str:
    """The invite in a file. Raises FileUnreadable."""
    from northstar.surfaces.cli.submit import FileUnreadable

    try:
        with path.open("rb") as file:
            return file.read(_MAX_INVITE_BYTES).decode("ascii", errors="replace").strip()
    except OSError as exc:
        raise FileUnreadable(str(path), exc.strerror or str(exc)) from exc


def _announcement(machine: MachineSettings | None, *, known: bool, pools: list[str] | None) -> Announcement:
    """What the machine will say of itself, as far as the settings or the options and not the invite decide it."""
    from northstar.domain.admission import Announcement

    if machine is None or not known:
        return Announcement(pools=tuple(pools or ()))
    return Announcement(
        pools=machine.pools, tags=machine.tags, dedicated_to=machine.dedicated_to, region=machine.region
    )


def _host_name() -> str:
    """The host's name as the name of a machine."""
    import socket

    return "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in socket.gethostname()).strip(
        "-"
    )


def _default_services(settings: Settings) -> tuple[str, ...]:
    """What the settings' first machine offers: by default, everything that can run on a bare host."""
    return settings.machines[0].services if settings.machines else ()


async def _joined(
    settings: Settings,
    name: str,
    *,
    url: str,
    invite: str | None,
    services: tuple[str, ...],
    announces: Announcement,
) -> Settings:
    from northstar.assembly.joining import as_member
    from northstar.assembly.joining import join as join_there

    entry = await join_there(settings, name, url=url, invite=invite or "", announces=announces)
    # At a later start it may long have been approved; the link says it if it was not.
    if entry.is_new and entry.membership.joined.status == "waiting":
        typer.echo(f"{name} has joined and waits for approval: northstar machines approve {name}", err=True)
    return as_member(settings, name, entry.membership, services=services)


def _with_broker(
    settings: Settings, name: str, *, broker: str | None, token_file: Path | None, services: tuple[str, ...]
) -> Settings:
    """The settings with the broker as the options say, or what was joined, or the `up` on this host. Raises NotRunning."""
    import msgspec

    from northstar.assembly.joining import as_member, folder_of
    from northstar.assembly.run_file import read_run_file

    membership = folder_of(settings, name).membership()
    said = broker or settings.agent.broker
    if membership is not None:
        settings = as_member(settings, name, membership, services=services)
    known = settings.agent
    wanted = msgspec.structs.replace(
        known,
        broker=said or known.broker or read_run_file(settings.data_path).front,
        token_file=str(token_file) if token_file else known.token_file,
    )
    return msgspec.structs.replace(settings, agent=wanted)
