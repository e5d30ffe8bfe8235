"""What is known of the machines of this host: their engines, and the brokers that they dial."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from northstar import __version__
from northstar.agent.dialing import Dialling, broker_url
from northstar.agent.joining import JoinFolder
from northstar.agent.recognition import is_known_there
from northstar.assembly.connectors import connector_of
from northstar.assembly.examination.troubles import trouble_of
from northstar.assembly.joining import folder_of
from northstar.assembly.session import new_id
from northstar.config import CommandService, OpenAIService, Service, Settings, SimulatedService
from northstar.connectors.contract import Describing
from northstar.connectors.secret import Secret
from northstar.domain.errors import NorthstarError, Refused
from northstar.policy.health_checks.machine import EngineFacts, MembershipFacts

#: Machines of one host that are asked about.
MOST_MACHINES: Final = 16
_MAX_TOKEN_BYTES: Final = 1_024


def offered(settings: Settings) -> dict[str, Service]:
    """The services that machines of these settings offer, by name."""
    names = sorted({name for machine in settings.machines for name in machine.services})
    return {name: settings.services[name] for name in names}


async def engine_facts(name: str, service: Service, *, environment: Mapping[str, str]) -> EngineFacts:
    """Ask one engine what it is; loads no model and runs no job."""
    match service:
        case CommandService():
            return _program(name, service)
        case SimulatedService():
            return EngineFacts(service=name, kind="simulated", where="")
        case OpenAIService() if service.engine:
            return EngineFacts(service=name, kind="started", where=service.engine)
        case _:
            pass
    where = service.base_url
    try:
        connector = connector_of(name, service, address=None, environment=environment)
        try:
            said = await connector.describe() if isinstance(connector, Describing) else None
        finally:
            await connector.close()
    except NorthstarError as exc:
        return EngineFacts(service=name, kind="http", where=where, trouble=trouble_of(exc))
    words = " ".join(filter(None, (said.kind, said.version))) if said else ""
    return EngineFacts(service=name, kind="http", where=where, said=words)


def _program(name: str, service: CommandService) -> EngineFacts:
    program = service.arguments[0]
    found = sys.executable if program == "@python" else shutil.which(program)
    return EngineFacts(service=name, kind="command", where=found or program, is_missing=found is None)


def members(settings: Settings) -> list[str]:
    """Machines of this host that joined a cell, or are set to dial a broker."""
    joined: list[str] = []
    with contextlib.suppress(OSError), os.scandir(settings.data_path / "machines") as entries:
        joined = sorted(entry.name for entry in entries if folder_of(settings, entry.name).membership() is not None)
    dialling = [machine.name for machine in settings.machines] if settings.agent.broker else []
    return list(dict.fromkeys([*joined, *dialling]))[:MOST_MACHINES]


async def membership_facts(settings: Settings, machine: str) -> MembershipFacts:
    """Ask the broker whether it knows the machine. Nothing is registered, so a machine at work is not disturbed."""
    folder = folder_of(settings, machine)
    joined = folder.membership()
    broker = settings.agent.broker or (joined.broker if joined else "")
    token, token_file = _token(settings, folder)
    if token is None or not broker:
        return MembershipFacts(machine=machine, broker=broker, token_file=token_file, has_token=token is not None)
    try:
        ca_file = Path(settings.agent.ca_file) if settings.agent.ca_file else None
        dialling = Dialling(http_url=broker_url(broker), token=token, ca_file=ca_file)
        known = await is_known_there(dialling, machine=machine, session=new_id(), version=__version__)
    except NorthstarError as exc:
        return MembershipFacts(
            machine=machine,
            broker=broker,
            token_file=token_file,
            has_token=True,
            trouble=trouble_of(exc),
            is_refused=isinstance(exc, Refused),
        )
    return MembershipFacts(machine=machine, broker=broker, token_file=token_file, has_token=True, is_known=known)


def _token(settings: Settings, folder: JoinFolder) -> tuple[Secret | None, str]:
    """The machine's token, if it can be read, and the file that it is, or should be, in."""
    if not settings.agent.token_file:
        return folder.token(), str(folder.token_path)
    try:
        with Path(settings.agent.token_file).open("rb") as file:
            return Secret(file.read(_MAX_TOKEN_BYTES).decode("ascii").strip()), settings.agent.token_file
    except (OSError, ValueError):
        return None, settings.agent.token_file
