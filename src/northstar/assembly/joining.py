"""A machine of this host becomes a member of a cell elsewhere, or finds that it is one already."""

from __future__ import annotations

import secrets
from pathlib import Path

import msgspec

from northstar import __version__
from northstar.agent.dialing import Dialling, broker_url
from northstar.agent.joining import JoinFolder, Membership, ask_to_join
from northstar.config import MachineSettings, Settings
from northstar.connectors.secret import Secret
from northstar.domain.admission import Announcement
from northstar.domain.tokens import Token, TokenKind
from northstar.store.wire import JoinRequest


def folder_of(settings: Settings, name: str) -> JoinFolder:
    """Where the machine keeps what it joined."""
    return JoinFolder(settings.data_path / "machines" / name)


async def join(settings: Settings, name: str, *, url: str, invite: str, announces: Announcement) -> Membership:
    """Join the broker at `url`, unless the machine has by this invite: the same command may be run at every start.

    `announces` is what the settings say of the machine, so that a refusal costs the invite no use.

    Raises:
        BrokerUrlInvalid, TokenMalformed: what was given can never work.
        JoinRefused, JoinUnanswered, JoinFolderUnusable: it did not join.
    """
    address, folder = broker_url(url), folder_of(settings, name)
    known = folder.membership()
    if known is not None and known.broker == address and not invite:
        return known
    parsed = Token.parse(invite, TokenKind.INVITE)
    if known is not None and known.broker == address and known.invite in {"", parsed.id}:
        return known
    token = folder.pending_token(parsed, random_bytes=secrets.token_bytes)
    ca_file = Path(settings.agent.ca_file) if settings.agent.ca_file else None
    dialling = Dialling(http_url=address, token=Secret(token.reveal()), ca_file=ca_file)
    request = JoinRequest(invite=parsed.reveal(), token=token.reveal(), machine=name, announces=announces)
    joined = await ask_to_join(address, request, agent=f"northstar-agent/{__version__}", tls=dialling.tls())
    membership = Membership(broker=address, joined=joined, invite=parsed.id)
    folder.keep(token, membership)
    return membership


def as_member(settings: Settings, name: str, membership: Membership, *, services: tuple[str, ...]) -> Settings:
    """The settings of a machine that has joined: where it dials, and, if they do not describe it, what it was invited for."""
    agent = msgspec.structs.replace(settings.agent, broker=membership.broker)
    settings = msgspec.structs.replace(settings, agent=agent)
    if settings.machine(name) is not None:
        return settings
    grant = membership.joined.grant
    machine = MachineSettings(
        name=name,
        services=services,
        pools=grant.pools,
        tags=grant.tags,
        dedicated_to=grant.dedicated_to,
        region=grant.region,
    )
    return msgspec.structs.replace(settings, machines=(*settings.machines, machine))
