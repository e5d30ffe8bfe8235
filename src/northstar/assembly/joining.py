"""A machine of this host becomes a member of a cell elsewhere, or finds that it is one already."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import ClassVar, Literal

import msgspec

from northstar import __version__
from northstar.agent.dialing import Dialling, broker_url
from northstar.agent.joining import JoinFolder, JoinUnanswered, Membership, ask_to_join
from northstar.agent.recognition import is_known_there
from northstar.assembly.session import new_id
from northstar.assembly.template import granted
from northstar.config import MachineSettings, Settings
from northstar.connectors.secret import Secret
from northstar.domain.admission import Announcement
from northstar.domain.errors import InvalidRequest
from northstar.domain.refusals import TokenRevoked
from northstar.domain.tokens import Token, TokenKind
from northstar.store.wire import JoinRequest
from northstar.telemetry import logger

log = logger(__name__)


def folder_of(settings: Settings, name: str) -> JoinFolder:
    """Where the machine keeps what it joined."""
    return JoinFolder(settings.data_path / "machines" / name)


class InviteMissing(InvalidRequest):
    """A machine that has not joined yet needs an invite."""

    code: ClassVar[str] = "NS_INVITE_MISSING"

    def __init__(self) -> None:
        super().__init__(
            "this machine has not joined there yet: add --token with the invite that `northstar machines invite` printed, "
            "or put it into a file (--token-file) or into NORTHSTAR_INVITE"
        )


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A machine is a member of a cell; `is_new` if it has become one just now."""

    membership: Membership
    is_new: bool


async def join(settings: Settings, name: str, *, url: str, invite: str, announces: Announcement) -> Entry:
    """Join the broker at `url`, unless the machine has: the same command may be run at every start.

    A machine that has joined, and is told another address or shown another invite, first asks there with the token that it
    has: the broker may have moved. `announces` is what the settings say of the machine, so that a refusal costs the invite
    no use.

    Raises:
        BrokerUrlInvalid, TokenMalformed: what was given can never work.
        InviteMissing: it has not joined there, and is not invited.
        JoinRefused, JoinUnanswered, JoinFolderUnusable: it did not join. Refused: the broker has put it out.
    """
    address, folder = broker_url(url), folder_of(settings, name)
    parsed = Token.parse(invite, TokenKind.INVITE) if invite else None
    known = folder.membership()
    if known is not None:
        same_invite = parsed is None or known.invite in {"", parsed.id}
        if same_invite and broker_url(known.broker) == address:
            return Entry(membership=known, is_new=False)
        moved = msgspec.structs.replace(known, broker=address)
        match await _standing_there(settings, name, address, is_invited=parsed is not None, anew=not same_invite):
            case "member":
                folder.moved(moved)
                if address != known.broker:
                    log.info("broker_moved", formerly=known.broker, now=address)
                return Entry(membership=moved, is_new=False)
            case "unanswered":
                return Entry(membership=moved, is_new=False)  # not kept: the address may be wrong
            case "stranger":
                pass
    if parsed is None:
        raise InviteMissing
    return Entry(
        membership=await _join_anew(settings, name, address=address, invite=parsed, announces=announces), is_new=True
    )


async def _standing_there(
    settings: Settings, name: str, address: str, *, is_invited: bool, anew: bool
) -> Literal["member", "stranger", "unanswered"]:
    """What the machine, which has joined, is to the cell at the address. A revoked one may come back only `anew`, by another invite.

    Without an invite nothing else can be done than to dial there, so one that does not answer is waited for like any broker.
    """
    own = folder_of(settings, name).token()
    if own is None:
        return "stranger"
    dialling = _dialling(settings, address, own)
    try:
        known = await is_known_there(dialling, machine=name, session=new_id(), version=__version__)
    except TokenRevoked:
        if anew:
            return "stranger"
        raise
    except JoinUnanswered as exc:
        if is_invited:
            raise
        log.warning("broker_unavailable", code=exc.code, error=str(exc))
        return "unanswered"
    return "member" if known else "stranger"


async def _join_anew(
    settings: Settings, name: str, *, address: str, invite: Token, announces: Announcement
) -> Membership:
    folder = folder_of(settings, name)
    token = folder.pending_token(invite, random_bytes=secrets.token_bytes)
    dialling = _dialling(settings, address, Secret(token.reveal()))
    request = JoinRequest(invite=invite.reveal(), token=token.reveal(), machine=name, announces=announces)
    joined = await ask_to_join(address, request, agent=f"northstar-agent/{__version__}", tls=dialling.tls())
    membership = Membership(broker=address, joined=joined, invite=invite.id)
    folder.keep(token, membership)
    return membership


def _dialling(settings: Settings, address: str, token: Secret) -> Dialling:
    ca_file = Path(settings.agent.ca_file) if settings.agent.ca_file else None
    return Dialling(http_url=address, token=token, ca_file=ca_file)


def as_member(
    settings: Settings,
    name: str,
    membership: Membership,
    *,
    services: tuple[str, ...],
    template: MachineSettings | None = None,
) -> Settings:
    """The settings of a machine that has joined: where it dials, and what it is.

    If they do not describe it, it is as `template` says, or else offers `services` as it was invited.
    """
    agent = msgspec.structs.replace(settings.agent, broker=membership.broker)
    settings = msgspec.structs.replace(settings, agent=agent)
    if settings.machine(name) is not None:
        return settings
    plain = template or MachineSettings(name=name, services=services)
    machine = granted(plain, membership.joined.grant)
    return msgspec.structs.replace(settings, machines=(*settings.machines, machine))
