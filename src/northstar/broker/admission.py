"""Letting machines in: invites, and the tokens by which machines are known at every connection.

Texts come in and go out here; below, only digests travel.
"""

from __future__ import annotations

import shlex
from collections import OrderedDict
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

import msgspec

from northstar.domain.admission import Admitted, Announcement, InviteTerms
from northstar.domain.errors import InvalidRequest, Refused
from northstar.domain.machines import MachineId
from northstar.domain.tokens import ID_BYTES, SECRET_BYTES, Token, TokenKind, cell_tag
from northstar.store import admission
from northstar.store.bells import Approved, Connected, Revoked

if TYPE_CHECKING:
    from collections.abc import Callable

    from northstar.store.bells import Ring
    from northstar.store.cell import Cell

#: How long an answer is remembered where no bell says otherwise, and of how many tokens.
REMEMBER_S = 5.0
MAX_REMEMBERED = 10_000
#: How long the former secret counts after a rotation.
GRACE_MS = 600_000
#: What is known of who asks is cut to so many bytes.
MAX_ABOUT_BYTES = 512


class TokenForeign(Refused):
    """The invite or token is one of another cell."""

    code: ClassVar[str] = "NS_TOKEN_FOREIGN"

    def __init__(self, token: Token, cell: str) -> None:
        super().__init__(f"{token!r} is of another cell than {cell!r}; check the address that it was made for")
        self.token_id = token.id
        self.cell = cell


class TokenOfAnotherId(InvalidRequest):
    """A replacement must have the id of the token that it replaces."""

    code: ClassVar[str] = "NS_TOKEN_OF_ANOTHER_ID"

    def __init__(self, token_id: str) -> None:
        super().__init__(f"the replacement is not one of token {token_id}; only the secret may change")
        self.token_id = token_id


class MachineNameInvalid(InvalidRequest):
    """The name that a machine wants is none."""

    code: ClassVar[str] = "NS_MACHINE_NAME_INVALID"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name[:80]!r} is no name for a machine: use 1 to 128 of A-Z a-z 0-9 . _ : - and begin with a letter or digit"
        )


class JoinUrlInvalid(InvalidRequest):
    """The address that machines shall dial is missing, or is none."""

    code: ClassVar[str] = "NS_JOIN_URL_INVALID"

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"{reason}: give the address of `northstar serve` with --url wss://HOST, or set join.url; `northstar up` "
            "listens on 127.0.0.1, which other hosts cannot reach: set serve.host too, with serve.tls_certificate or a proxy that has TLS"
        )
        self.reason = reason


class Invitation(msgspec.Struct, frozen=True, kw_only=True):
    """A new invite. Its text exists only here: the cell keeps a digest. The repr hides it."""

    invite: Token
    ends_ms: int

    def command(self, url: str) -> str:
        """What to run on a machine so that it joins. Raises JoinUrlInvalid."""
        return f"northstar agent --join {shlex.quote(checked_join_url(url))} --token {self.invite.reveal()}"


def checked_join_url(url: str) -> str:
    """The address, if machines can dial it. Raises JoinUrlInvalid."""
    if not url:
        raise JoinUrlInvalid("it is not known where machines elsewhere reach this North Star")
    try:
        parts = urlsplit(url)
        named = bool(parts.hostname) and parts.port != 0 and url.isprintable() and " " not in url
    except ValueError:
        named = False
    else:
        if parts.username is not None:
            raise JoinUrlInvalid("the address of a join holds no user name or password")
    if not named or parts.scheme not in {"ws", "wss", "http", "https"}:
        raise JoinUrlInvalid(f"{url[:200]!r} is not an address that machines can dial")
    return url


class Admission:
    """Admission to one cell.

    `random_bytes` gives secret random bytes (`secrets.token_bytes`), `monotonic` seconds. Answers are remembered for a few seconds, so
    that a storm of reconnections costs the cell little; whoever listens to the cell's bells passes them to `hear`, so that a
    revocation counts at once. Registering with `admitted_by` asks the cell itself in any case.
    """

    def __init__(
        self,
        cell: Cell,
        *,
        random_bytes: Callable[[int], bytes],
        monotonic: Callable[[], float],
        remember_s: float = REMEMBER_S,
    ) -> None:
        self._cell = cell
        self._random_bytes = random_bytes
        self._monotonic = monotonic
        self._remember_s = remember_s
        self._remembered: OrderedDict[str, tuple[float, Admitted]] = OrderedDict()
        self._generation = 0

    @property
    def remembered(self) -> int:
        """Answers that are remembered."""
        return len(self._remembered)

    async def invite(self, terms: InviteTerms, *, by: str) -> Invitation:
        """Make an invite. Raises InviteTooLong, TooManyInvites."""
        invite = Token.make(
            TokenKind.INVITE,
            tag=cell_tag(self._cell.name),
            id_bytes=self._random_bytes(ID_BYTES),
            secret_bytes=self._random_bytes(SECRET_BYTES),
        )
        ends_ms = await admission.make_invite(self._cell, invite, terms, by=by)
        return Invitation(invite=invite, ends_ms=ends_ms)

    async def redeem(
        self, invite_text: str, token_text: str, *, machine: str, about: str = "", announces: Announcement | None = None
    ) -> Admitted:
        """A machine joins by an invite with a token that it made itself (`machine_token`).

        `announces` is what its settings say of it: more than the invite grants is refused before a use of the invite is spent.

        Raises:
            TokenMalformed, TokenForeign, MachineNameInvalid: what was sent can never work.
            NotGranted: its settings say more of it than the invite allows.
            InviteUnknown, InviteExpired, InviteUsedUp, InviteRevoked, MachineNameTaken, TooManyTokens: it does not join.
        """
        name = checked_machine_name(machine)
        invite, token = self._read(invite_text, TokenKind.INVITE), self._read(token_text, TokenKind.MACHINE)
        # Strangers wrote it, and operators read it on terminals.
        printable = "".join(letter if letter.isprintable() else " " for letter in about[:MAX_ABOUT_BYTES])
        shown = printable.encode(errors="replace")[:MAX_ABOUT_BYTES].decode(errors="ignore")
        if announces is not None:
            grant = await admission.look_at_invite(self._cell, invite)
            if grant is not None:
                grant.check_announced(name, announces)
        return await admission.redeem(self._cell, invite, token, machine=name, about=shown)

    async def authenticate(self, token_text: str, *, machine: str = "") -> Admitted:
        """Who shows this token; with `machine`, only if it is that one's. A status of `waiting` allows no work yet.

        Raises:
            TokenMalformed, TokenForeign: the text is none of this cell's.
            TokenUnknown, TokenRevoked, TokenReplaced, TokenExpired, TokenOfAnotherMachine: it does not count.
        """
        token = self._read(token_text, TokenKind.MACHINE)
        digest = token.digest()
        known = self._remembered.get(digest)
        if known is not None and known[0] > self._monotonic() and machine in {"", known[1].machine}:
            return known[1]
        generation = self._generation
        admitted = await admission.authenticate(self._cell, token, machine=machine)
        if generation == self._generation and admitted.may_work and not admitted.former:
            self._remember(digest, admitted)
        return admitted

    async def rotate(self, token_text: str, replacement_text: str, *, grace_ms: int = GRACE_MS) -> admission.Rotation:
        """Give a machine's token the secret of `replacement_text`, a text with the same id that the machine made itself.

        Raises:
            TokenMalformed: also when the ids differ. TokenForeign. What `authenticate` raises.
        """
        token, new = (self._read(text, TokenKind.MACHINE) for text in (token_text, replacement_text))
        if new.id != token.id:
            raise TokenOfAnotherId(token.id)
        rotation = await admission.rotate(self._cell, token, new, grace_ms=grace_ms)
        self._forget()
        return rotation

    def hear(self, ring: Ring) -> None:
        """Forget what was remembered when it may be true no more. Rings of the bell `tick` and of the holder."""
        if isinstance(ring, (Revoked, Approved, Connected)):
            self._forget()

    def _read(self, text: str, kind: TokenKind) -> Token:
        token = Token.parse(text, kind)
        if not token.is_of(self._cell.name):
            raise TokenForeign(token, self._cell.name)
        return token

    def _remember(self, digest: str, admitted: Admitted) -> None:
        now_s = self._monotonic()
        self._remembered[digest] = (now_s + self._remember_s, admitted)
        self._remembered.move_to_end(digest)
        # The first was remembered first, so its time is over first.
        while self._remembered:
            until_s, _ = next(iter(self._remembered.values()))
            if until_s > now_s and len(self._remembered) <= MAX_REMEMBERED:
                break
            self._remembered.popitem(last=False)

    def _forget(self) -> None:
        self._remembered.clear()
        self._generation += 1


def checked_machine_name(name: str) -> str:
    """The name, if a machine may have it. Raises MachineNameInvalid."""
    try:
        return msgspec.convert(name, MachineId)
    except msgspec.ValidationError as exc:
        raise MachineNameInvalid(name) from exc
