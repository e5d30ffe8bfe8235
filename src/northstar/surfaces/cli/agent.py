"""`northstar agent`: one machine anywhere, which dials its broker."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from northstar.domain.errors import InvalidRequest, Unavailable
from northstar.surfaces.cli.options import Config, DataDir, run, settings_of
from northstar.surfaces.cli.up import LogFolder, LogJson, LogLevel, configure_log, keep_log, with_log
from northstar.surfaces.cli.worker import be_machine, with_machine

if TYPE_CHECKING:
    from northstar.config import MachineSettings, Settings
    from northstar.domain.admission import Announcement

#: Bytes of a file with an invite.
_MAX_INVITE_BYTES = 1_024


Name = Annotated[
    str | None,
    typer.Argument(
        metavar="NAME",
        help="The machine's name. Default: the name by which it joined; without --join the settings' only machine; the host's name.",
    ),
]
Address = Annotated[
    str | None, typer.Option("--broker", metavar="URL", help="The broker, such as https://broker.example:8443.")
]
Join = Annotated[
    str | None,
    typer.Option(
        "--join", metavar="URL", envvar="NORTHSTAR_JOIN", help="Join the broker there first, by an invite; once."
    ),
]
Invite = Annotated[
    str | None,
    typer.Option(
        "--token",
        metavar="INVITE",
        envvar="NORTHSTAR_INVITE",
        help="The invite, nsi_…, for --join. On the command line, others on this host can read it.",
    ),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        metavar="FILE",
        help="With --join: a file with the invite. Else: one with the machine's token, nsm_…; "
        "default: DATA/machines/NAME/token, where joining left it.",
    ),
]
Slots = Annotated[int | None, typer.Option(min=1, max=500, help="Jobs side by side.")]
PoolNames = Annotated[list[str] | None, typer.Option("--pool", metavar="POOL", help="May be given several times.")]
ServiceNames = Annotated[
    list[str] | None,
    typer.Option(
        "--service",
        metavar="NAME",
        help="A [services.NAME] of the settings; several times. Default, for a machine that the settings do not have: "
        "what their first machine offers.",
    ),
]


def agent(
    name: Name = None,
    config: Config = None,
    data_dir: DataDir = None,
    broker: Address = None,
    join: Join = None,
    token: Invite = None,
    token_file: TokenFile = None,
    slots: Slots = None,
    pool: PoolNames = None,
    service: ServiceNames = None,
    log_json: LogJson = False,
    log_level: LogLevel = None,
    log_folder: LogFolder = None,
) -> None:
    """Be one machine: dial the broker, take work, run it on the set engines, hand results back. SIGTERM drains it.

    With --join the same command may be run at every start: a machine that has joined goes on as the one it is. With --service a
    machine that is not in the settings can be made on the spot.
    """
    from northstar.assembly.template import tell_what_holds, template_for

    settings = with_log(
        settings_of(config, data_dir, None, None, of_a_cell=False),
        log_json=log_json,
        log_level=log_level,
        log_folder=log_folder,
    )
    name = name or _usual_name(settings, joins=join is not None)
    configure_log(settings, machine=name)
    keep_log(settings, f"agent-{name}")
    plan = _Plan(
        name=name,
        template=template_for(settings, name),
        slots=slots,
        pools=pool,
        services=service,
        offered=tuple(service or _default_services(settings)),
    )
    configured = settings
    if join is not None:
        invite = token or (_invite_in(token_file) if token_file else None)
        settings = run(_joined(settings, plan, url=join, invite=invite))
    else:
        settings = _with_broker(settings, plan, broker=broker, token_file=token_file)
    settings = plan.applied_to(settings)
    tell_what_holds(configured, name)
    run(be_machine(settings, name), fast=True)


class _Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Which machine this is to be, as the options say, and what holds for it where the settings have no such machine."""

    name: str
    template: MachineSettings | None
    slots: int | None
    pools: list[str] | None
    services: list[str] | None
    offered: tuple[str, ...]

    def applied_to(self, settings: Settings) -> Settings:
        """The settings with the machine. Raises InvalidSettings."""
        if self.template is not None and settings.machine(self.name) is None:
            settings = msgspec.structs.replace(settings, machines=(*settings.machines, self.template))
        return with_machine(settings, self.name, slots=self.slots, pools=self.pools, services=self.services)

    def announcement(self, settings: Settings) -> Announcement:
        """What the machine will say of itself, as far as the settings or the options and not the invite decide it."""
        from northstar.assembly.template import announced_by
        from northstar.domain.admission import Announcement

        machine = self.applied_to(settings).machine(self.name)
        if machine is not None and settings.machine(self.name) is not None:
            return Announcement(
                pools=machine.pools, tags=machine.tags, dedicated_to=machine.dedicated_to, region=machine.region
            )
        said = Announcement() if machine is None or self.template is None else announced_by(machine)
        return msgspec.structs.replace(said, pools=tuple(self.pools or said.pools))


class MachineNameMissing(InvalidRequest):
    """It is not said which machine this is."""

    code = "NS_MACHINE_NAME_MISSING"

    def __init__(self) -> None:
        super().__init__("say which machine this is: northstar agent NAME")


class BrokerMissing(Unavailable):
    """It is not said which broker to dial, and none runs on the data directory."""

    code = "NS_BROKER_MISSING"

    def __init__(self, data_dir: Path) -> None:
        super().__init__(
            f"no broker is named, and no North Star runs on data directory {data_dir}: join one with --join URL --token INVITE, "
            "or name the one that this machine has a token for with --broker URL"
        )


def _invite_in(path: Path) -> str:
    """The invite in a file. Raises FileUnreadable."""
    from northstar.surfaces.cli.submit import FileUnreadable

    try:
        with path.open("rb") as file:
            return file.read(_MAX_INVITE_BYTES).decode("ascii", errors="replace").strip()
    except OSError as exc:
        raise FileUnreadable(str(path), exc.strerror or str(exc)) from exc


def _usual_name(settings: Settings, *, joins: bool) -> str:
    """The name of a machine that was given none. Raises MachineNameMissing.

    With --join it is the host's, because many containers share one settings file and no two machines a name.
    """
    from northstar.assembly.joining import folder_of
    from northstar.assembly.template import only_machine

    host, only = _host_name(), only_machine(settings)
    names = [name for name in (host, only.name if only else "") if name]
    usual = names if joins else names[::-1]
    joined = [name for name in names if folder_of(settings, name).membership() is not None]
    if not usual:
        raise MachineNameMissing
    return (joined or usual)[0]


def _host_name() -> str:
    """The host's name as the name of a machine."""
    import socket

    return "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in socket.gethostname()).strip(
        "-"
    )


def _default_services(settings: Settings) -> tuple[str, ...]:
    """What the settings' first machine offers: by default, everything that can run on a bare host."""
    return settings.machines[0].services if settings.machines else ()


async def _joined(settings: Settings, plan: _Plan, *, url: str, invite: str | None) -> Settings:
    from northstar.assembly.joining import as_member
    from northstar.assembly.joining import join as join_there

    name = plan.name
    entry = await join_there(settings, name, url=url, invite=invite or "", announces=plan.announcement(settings))
    # At a later start it may long have been approved; the link says it if it was not.
    if entry.is_new and entry.membership.joined.status == "waiting":
        typer.echo(f"{name} has joined and waits for approval: northstar machines approve {name}", err=True)
    return as_member(settings, name, entry.membership, services=plan.offered, template=plan.template)


def _with_broker(settings: Settings, plan: _Plan, *, broker: str | None, token_file: Path | None) -> Settings:
    """The settings with the broker as the options say, or what was joined, or the `up` on this host. Raises BrokerMissing."""
    from northstar.assembly.joining import as_member, folder_of

    membership = folder_of(settings, plan.name).membership()
    said = broker or settings.agent.broker
    if membership is not None:
        settings = as_member(settings, plan.name, membership, services=plan.offered, template=plan.template)
    known = settings.agent
    wanted = msgspec.structs.replace(
        known,
        broker=said or known.broker or _broker_here(settings),
        token_file=str(token_file) if token_file else known.token_file,
    )
    return msgspec.structs.replace(settings, agent=wanted)


def _broker_here(settings: Settings) -> str:
    from northstar.assembly.run_file import NotRunning, read_run_file

    try:
        return read_run_file(settings.data_path).front
    except NotRunning as exc:
        raise BrokerMissing(settings.data_path) from exc
