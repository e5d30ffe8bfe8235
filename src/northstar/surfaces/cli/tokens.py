"""`northstar machines approve`, `revoke` and `tokens`: the machines that joined by invites."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer

from northstar.surfaces.cli.options import AsJson, CellName, Config, DataDir, Valkey, Yes, confirm, me, run, settings_of
from northstar.surfaces.cli.printing import console, counted, moment, print_hint, print_json, print_table

if TYPE_CHECKING:
    from northstar.config import Settings
    from northstar.store.admission import Revocation, TokenEntry

Name = Annotated[str, typer.Argument(metavar="NAME")]

COLUMNS: Final = ("MACHINE", "STATUS", "POOLS", "REGION", "JOINED", "SEEN", "INVITE", "TOKEN", "BY", "ABOUT")


def approve(
    name: Name,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Let a machine that joined and waits take work."""
    changed = run(_approve(settings_of(config, data_dir, valkey, cell), name))
    if as_json:
        print_json({"machine": name, "changed": changed})
    else:
        console().print(f"{name}  {'approved' if changed else 'was approved already'}", markup=False)


async def _approve(settings: Settings, name: str) -> bool:
    from northstar.assembly.session import session
    from northstar.store import admission

    async with session(settings) as broker:
        return await admission.approve(broker.cell, name, by=me())


def revoke(
    name: Name,
    because: Annotated[str, typer.Option(help="Why, for whoever wonders.")] = "revoked by an operator",
    yes: Yes = False,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """Take a machine's token away: it is put out at once, and its jobs go back to the front of their lanes."""
    settings = settings_of(config, data_dir, valkey, cell)
    confirm(f"machine {name} may not come any more and what it runs goes back to the queue", yes=yes, as_json=as_json)
    done = run(_revoke(settings, name, because))
    if as_json:
        changes = {"machine": name, "changed": done.revoked, "returned": done.returned}
        print_json(changes | {"open_invite": done.invite or None})
        return
    what = f"revoked, {counted(done.returned, 'job')} returned to the queue" if done.revoked else "was revoked already"
    console().print(f"{name}  {what}", markup=False)
    if done.invite:
        hint = f"the invite by which it joined is still open; to close it: northstar machines uninvite {done.invite}"
        print_hint(hint, style="yellow")


async def _revoke(settings: Settings, name: str, because: str) -> Revocation:
    from northstar.assembly.session import new_id, session
    from northstar.store import admission

    async with session(settings) as broker:
        return await admission.revoke(broker.cell, name, because=because, by=me(), nonce=new_id()[-16:])


def tokens(
    waiting: Annotated[bool, typer.Option("--waiting", help="Only machines that wait for approval.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, metavar="N", help="At most so many.")] = 100,
    as_json: AsJson = False,
    config: Config = None,
    data_dir: DataDir = None,
    valkey: Valkey = None,
    cell: CellName = None,
) -> None:
    """List the machines that joined by invites, revoked ones included, the latest first."""
    found = run(_tokens(settings_of(config, data_dir, valkey, cell), limit=limit, waiting=waiting))
    is_cut, found = len(found) > limit, found[:limit]
    if as_json:
        print_json({"tokens": [msgspec.structs.asdict(entry) for entry in found], "is_cut": is_cut})
        return
    print_table(COLUMNS, map(token_cells, found))
    if is_cut:
        console().print("… and more; --limit shows more", style="dim", markup=False)


def token_cells(entry: TokenEntry) -> tuple[object, ...]:
    """A token's row of the table. A revoked machine's name may be another one's by now, so it is never shown as here."""
    seen = "now" if entry.here and entry.status != "revoked" else moment(entry.seen_ms)
    origin = (entry.invite, entry.id, entry.by, entry.about or "-")
    return (
        entry.machine,
        entry.status,
        " ".join(entry.pools),
        entry.region or "-",
        moment(entry.joined_ms),
        seen,
        *origin,
    )


async def _tokens(settings: Settings, *, limit: int, waiting: bool) -> list[TokenEntry]:
    from northstar.assembly.session import session
    from northstar.store import admission

    async with session(settings) as broker:
        every = admission.list_tokens(broker.cell)
        found = [entry async for entry in every if not waiting or entry.status == "waiting"]
    return heapq.nlargest(limit + 1, found, key=lambda entry: entry.joined_ms)
