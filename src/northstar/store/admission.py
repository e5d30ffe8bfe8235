"""Who may join a cell: invites and the tokens of machines, as calls of the function library.

Secrets stay with their owners: a call carries their digests, and a cell keeps nothing else. Every call may be repeated after a lost
answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec

from northstar.domain.admission import Admitted, Grant, InviteTerms, TokenStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from northstar.domain.tokens import Token
    from northstar.store.cell import Cell

Reply = TypeVar("Reply")
_PAGE = 500
#: Pages that one listing goes through: more entries than a cell may have.
_MAX_PAGES = 4_000


class InviteEntry(msgspec.Struct, frozen=True, array_like=True):
    """An invite as it is listed. `state` is "open", or the name of the refusal that its next user gets."""

    id: str
    state: str
    pools: list[str]
    region: str
    tags: list[str]
    dedicated_to: str
    approval: int
    uses: int
    used: int
    made_ms: int
    ends_ms: int
    by: str


class TokenEntry(msgspec.Struct, frozen=True, array_like=True):
    """A machine's token as it is listed. `here`: a machine of that name is registered now, so `seen_ms` is when it came."""

    id: str
    machine: str
    status: TokenStatus
    pools: list[str]
    region: str
    tags: list[str]
    dedicated_to: str
    invite: str
    joined_ms: int
    seen_ms: int
    #: Who invited, approved or revoked it, whichever came last.
    by: str
    #: What was known of the one who asked.
    about: str
    here: bool


class Revocation(msgspec.Struct, frozen=True):
    """What a revocation did. `invite` is the one by which the machine joined, if others, or it again, could still join by it."""

    revoked: bool
    machine: str
    returned: int
    invite: str


class Rotation(msgspec.Struct, frozen=True):
    """Until when the former secret counts, by the cell's clock."""

    ends_ms: int
    replayed: bool


async def make_invite(cell: Cell, invite: Token, terms: InviteTerms, *, by: str) -> int:
    """Let machines join; gives until when, ms since epoch by the cell's clock.

    Raises:
        InviteExists, InviteTooLong, TooManyInvites: nothing was made.
    """
    request = {
        "invite": invite.id,
        "secret": invite.digest(),
        "pools": terms.pools,
        "region": terms.region,
        "tags": terms.tags,
        "dedicated_to": terms.dedicated_to or "",
        "approval": terms.approval,
        "uses": terms.uses,
        "ttl_ms": terms.ttl_ms,
        "by": by,
    }
    return (await cell.call("invite", request, _Ends)).ends_ms


async def look_at_invite(cell: Cell, invite: Token) -> Grant | None:
    """What the invite grants; None when the cell has no such one. Whether it may still be used is for `redeem` to say."""
    found = await cell.call("look_at_invite", {"invite": invite.id, "secret": invite.digest()}, _Invited)
    if not found.known:
        return None
    return Grant(pools=found.pools, region=found.region, tags=found.tags, dedicated_to=found.dedicated_to or None)


async def redeem(cell: Cell, invite: Token, token: Token, *, machine: str, about: str) -> Admitted:
    """A machine joins and brings its own token; asked again with the same one, it is answered again and no use is counted.

    Raises:
        InviteUnknown, InviteExpired, InviteUsedUp, InviteRevoked, MachineNameTaken, TooManyTokens: it does not join.
        TokenRevoked, TokenReplaced, TokenExpired, TokenOfAnotherMachine, TokenUnknown: it has joined before by a token of this id.
    """
    request = {
        "invite": invite.id,
        "invite_secret": invite.digest(),
        "token": token.id,
        "secret": token.digest(),
        "machine": machine,
        "about": about,
    }
    return (await cell.call("redeem", request, _Known)).admitted(token.id)


async def authenticate(cell: Cell, token: Token, *, machine: str = "") -> Admitted:
    """Whose token it is; with `machine`, only if it is that one's. One that waits for approval is told by its status.

    Raises:
        TokenUnknown, TokenRevoked, TokenReplaced, TokenExpired, TokenOfAnotherMachine: it does not count.
    """
    request = {"token": token.id, "secret": token.digest(), "machine": machine}
    return (await cell.call("authenticate", request, _Known)).admitted(token.id)


async def rotate(cell: Cell, token: Token, replacement: Token, *, grace_ms: int) -> Rotation:
    """Give a token the secret of `replacement`, which its machine made; the former one counts for `grace_ms` more (at most a day).

    Raises:
        TokenReplaced: another replacement came first. TokenUnknown, TokenRevoked, TokenExpired: it does not count.
    """
    request = {
        "token": token.id,
        "secret": token.digest(),
        "replacement": replacement.digest(),
        "grace_ms": grace_ms,
    }
    return await cell.call("rotate", request, Rotation)


async def approve(cell: Cell, machine: str, *, by: str) -> bool:
    """Let a machine that waits take work; False if it may already. Raises NoSuchToken, TokenRevoked."""
    return (await cell.call("approve", {"machine": machine, "by": by}, dict[str, bool]))["approved"]


async def revoke(
    cell: Cell, name: str, *, what: Literal["machine", "token"] = "machine", because: str, by: str, nonce: str
) -> Revocation:
    """A machine may not come any more; if it is here it goes, and its jobs go back, uncharged. Raises NoSuchToken."""
    request = {"what": what, "name": name, "because": because, "by": by, "nonce": nonce}
    return await cell.call("revoke", request, Revocation)


async def revoke_invite(cell: Cell, invite_id: str, *, by: str) -> bool:
    """Nobody joins by it any more; False if it was revoked before. Machines that joined stay. Raises NoSuchInvite."""
    return (await cell.call("revoke_invite", {"invite": invite_id, "by": by}, _Revoked)).revoked


async def list_invites(cell: Cell) -> AsyncIterator[InviteEntry]:
    """All that are not forgotten, those that end first; without their secrets."""
    async for page in _pages(cell, "list_invites", _Invites):
        for invite in page.invites:
            yield invite


async def list_tokens(cell: Cell) -> AsyncIterator[TokenEntry]:
    """All that are not forgotten, each once, those of machines that were here last at the end; without their secrets."""
    seen: set[str] = set()
    async for page in _pages(cell, "list_tokens", _Tokens):
        for token in page.tokens:
            if token.id not in seen:
                seen.add(token.id)
                yield token


async def _pages(cell: Cell, function: str, kind: type[_Page]) -> AsyncIterator[Any]:
    after = ""
    for _ in range(_MAX_PAGES):
        page = await cell.call(function, {"after": after, "count": _PAGE}, kind)
        yield page
        after = page.after
        if not after:
            return


class _Page(msgspec.Struct, frozen=True, kw_only=True):
    after: str


class _Invites(_Page, frozen=True, kw_only=True):
    invites: list[InviteEntry]


class _Tokens(_Page, frozen=True, kw_only=True):
    tokens: list[TokenEntry]


class _Ends(msgspec.Struct, frozen=True):
    ends_ms: int


class _Revoked(msgspec.Struct, frozen=True):
    revoked: bool
    used: int


class _Invited(msgspec.Struct, frozen=True, kw_only=True):
    known: bool
    pools: tuple[str, ...] = ()
    region: str = ""
    tags: tuple[str, ...] = ()
    dedicated_to: str = ""


class _Known(msgspec.Struct, frozen=True, kw_only=True):
    machine: str
    status: TokenStatus
    pools: tuple[str, ...]
    region: str
    tags: tuple[str, ...]
    dedicated_to: str
    former: bool = False

    def admitted(self, token_id: str) -> Admitted:
        grant = Grant(pools=self.pools, region=self.region, tags=self.tags, dedicated_to=self.dedicated_to or None)
        return Admitted(token_id=token_id, machine=self.machine, status=self.status, grant=grant, former=self.former)
