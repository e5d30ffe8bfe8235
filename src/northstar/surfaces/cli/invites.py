"""`northstar machines invite`, `uninvite` and `invites`: how machines come to join."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer

from northstar.surfaces.cli.durations import milliseconds
from northstar.surfaces.cli.options import AsJson, CellName, Config, DataDir, Valkey, me, run, settings_of
from northstar.surfaces.cli.printing import console, counted, moment, print_hint, print_json, print_table, print_text

if TYPE_CHECKING:
    from northstar.broker.admission import Invitation
    from northstar.config import Settings
    from northstar.domain.admission import InviteTerms
    from northstar.store.admission import InviteEntry

COLUMNS: Final = ("INVITE", "STATE", "USED", "POOLS", "REGION", "TAGS", "APPROVAL", "UNTIL", "BY")
#: What the states are called for people; for programs they are the names of the refusals.
STATES: Final = {"NS_INVITE_EXPIRED": "expired", "NS_INVITE_USED_UP": "used up", "NS_INVITE_REVOKED": "revoked"}


def invite(
    pool: Annotated[list[str] | None, typer.Option(help="A pool that it may serve, again for more. [standard]")] = None,
    region: Annotated[str, typer.Option(help="Where it must stand. Default: anywhere.")] = "",
    tag: Annotated[list[str] | None, typer.Option(help="A tag that it may announce, again for more.")] = None,
    dedicated_to: Annotated[
        str | None, typer.Option(metavar="NAME", help="It runs only jobs that ask for this isolation.")
    ] = None,
    for_: Annotated[
        str, typer.Option("--for", metavar="TIME", help="How long it is open: 90s, 15m, 12h, 30d.")
    ] = "15m",
    uses: Annotated[int, typer.Option(metavar="N", help="How many machines may join by it.")] = 1,
    approval: Annotated[bool, typer.Option("--approval", help="Each waits for `machines approve` first.")] = False,
    url: Annotated[str | None, typer.Option(help="The address that machines dial. Default: join.url.")] = None,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Print the one command by which a machine joins."""
    from northstar.broker.admission import checked_join_url
    from northstar.domain.admission import read_terms

    terms = read_terms(
        {
            "pools": pool or ["standard"],
            "region": region,
            "tags": tag or [],
            "dedicated_to": dedicated_to,
            "uses": uses,
            "ttl_ms": milliseconds(for_),
            "approval": approval,
        }
    )
    settings = settings_of(config, data_dir, valkey, cell)
    address = checked_join_url(url or settings.join.url)  # before anything is made
    invitation = run(_invite(settings, terms))
    if as_json:
        shown = {"invite": invitation.invite.id, "token": invitation.invite.reveal()}
        print_json(shown | {"command": invitation.command(address), "ends_ms": invitation.ends_ms})
    else:
        _print(invitation, terms, invitation.command(address))


def _print(invitation: Invitation, terms: InviteTerms, command: str) -> None:
    machines = "one machine" if terms.uses == 1 else f"up to {counted(terms.uses, 'machine')}"
    waits = (
        f", which then {'waits' if terms.uses == 1 else 'wait'} for `northstar machines approve NAME`"
        if terms.approval
        else ""
    )
    until = moment(invitation.ends_ms)
    print_hint(f"{invitation.invite.id}  invites {machines} until {until}{waits}. Run there:\n", style="")
    print_text(f"  {command}\n")  # never folded
    out = console()
    out.print("Whoever has this line can join; it is shown only now.", style="dim", markup=False)
    hint = "Where others may list processes, leave --token out: put it into NORTHSTAR_INVITE, or into a file for --token-file."
    out.print(hint, style="dim", markup=False)


async def _invite(settings: Settings, terms: InviteTerms) -> Invitation:
    from northstar.assembly.session import session

    async with session(settings) as broker:
        return await broker.admission.invite(terms, by=me())


def uninvite(
    invite_id: Annotated[str, typer.Argument(metavar="INVITE", help="Its id, or its whole text.")],
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Take an invite back; the machines that joined by it stay."""
    invite_id = id_of(invite_id)
    changed = run(_uninvite(settings_of(config, data_dir, valkey, cell), invite_id))
    if as_json:
        print_json({"invite": invite_id, "changed": changed})
    else:
        console().print(f"{invite_id}  {'revoked' if changed else 'was revoked already'}", markup=False)


def id_of(text: str) -> str:
    """The id of an invite that is named by it or by its whole text. Raises NoSuchInvite, TokenMalformed."""
    from northstar.domain.refusals import NoSuchInvite
    from northstar.domain.tokens import Token, TokenKind, is_id

    if text.startswith(TokenKind.INVITE.value + "_"):
        return Token.parse(text, TokenKind.INVITE).id
    if not is_id(text):
        raise NoSuchInvite({"invite": repr(text[:40])})
    return text


async def _uninvite(settings: Settings, invite_id: str) -> bool:
    from northstar.assembly.session import session
    from northstar.store import admission

    async with session(settings) as broker:
        return await admission.revoke_invite(broker.cell, invite_id, by=me())


def invites(
    open_only: Annotated[bool, typer.Option("--open", help="Only those by which a machine can join now.")] = False,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """List the invites of the last days, those that end first at the top."""
    found = run(_invites(settings_of(config, data_dir, valkey, cell)))
    shown = [entry for entry in found if entry.state == "open" or not open_only]
    if as_json:
        print_json({"invites": [msgspec.structs.asdict(entry) for entry in shown]})
    else:
        print_table(COLUMNS, map(invite_cells, shown))


def invite_cells(entry: InviteEntry) -> tuple[object, ...]:
    """An invite's row of the table."""
    used = f"{entry.used}/{entry.uses}"
    granted = (" ".join(entry.pools), entry.region or "-", " ".join(entry.tags) or "-")
    approval = "needed" if entry.approval else "-"
    return entry.id, STATES.get(entry.state, entry.state), used, *granted, approval, moment(entry.ends_ms), entry.by


async def _invites(settings: Settings) -> list[InviteEntry]:
    from northstar.assembly.session import session
    from northstar.store import admission

    async with session(settings) as broker:
        return [entry async for entry in admission.list_invites(broker.cell)]
