"""Invites, tokens and keys as texts: what a machine or a client shows to be let in.

    nsi_<id>_<secret and check letters>    an invite: whoever has it may let a machine join
    nsm_<id>_<secret and check letters>    the token of one machine
    nsk_<id>_<secret and check letters>    a key of the HTTP interface

The id is public: it is listed, logged and in events. The secret is 160 random bits, of which a cell keeps only a digest. The check
letters tell a mistyped or cut text from a wrong one. The first four letters of the id follow from the name of the cell, so that a
text of another cell is told from one that nobody knows. All letters are a to z and 2 to 7: a double click selects the whole.
"""

from __future__ import annotations

import base64
import hashlib
import re
import zlib
from enum import Enum
from typing import ClassVar, Final

from northstar.domain.errors import InvalidRequest

#: Random bytes that a secret, and the public part of an id, are made from.
SECRET_BYTES: Final = 20
ID_BYTES: Final = 8
_TAG: Final = 4
_ID: Final = 16
_SECRET: Final = 32
_MAX_LETTERS: Final = 200
_SHAPE: Final = re.compile(r"(nsi|nsm|nsk)_([a-z2-7]{16})_([a-z2-7]{32})([a-z2-7]{7})")


class TokenKind(Enum):
    """What a text lets its owner do."""

    INVITE = "nsi"
    MACHINE = "nsm"
    KEY = "nsk"


class TokenMalformed(InvalidRequest):
    """The text is no invite, no token, or no key; it was mistyped or cut off. The sentence does not contain it."""

    code: ClassVar[str] = "NS_TOKEN_MALFORMED"

    def __init__(self, wanted: TokenKind, reason: str) -> None:
        super().__init__(f"this is not {_named(wanted)}: {reason}")
        self.wanted = wanted
        self.reason = reason


class Token:
    """An invite, a machine's token or a key. Only `reveal` gives the secret: no repr, log line, copy or encoder does."""

    __slots__ = ("_secret", "id", "kind")

    def __init__(self, kind: TokenKind, token_id: str, secret: str) -> None:
        self.kind = kind
        self.id = token_id
        self._secret = secret

    @classmethod
    def make(cls, kind: TokenKind, *, tag: str, id_bytes: bytes, secret_bytes: bytes) -> Token:
        """A new one from random bytes, 8 for the id and 20 for the secret; `tag` is `cell_tag`, or that of the invite.

        Raises:
            ValueError: too few bytes, or a tag that is none.
        """
        if len(id_bytes) != ID_BYTES or len(secret_bytes) != SECRET_BYTES:
            raise ValueError(f"a token takes {ID_BYTES} random bytes for its id and {SECRET_BYTES} for its secret")
        if not re.fullmatch(r"[a-z2-7]{4}", tag):
            raise ValueError("the tag is four letters a to z, 2 to 7")
        return cls(kind, (tag + _letters(id_bytes))[:_ID], _letters(secret_bytes))

    @classmethod
    def parse(cls, text: str, kind: TokenKind) -> Token:
        """Read a text that somebody shows; blanks around it and capital letters do no harm.

        Raises:
            TokenMalformed: it is none, is of the other kind, was mistyped or cut off.
        """
        if len(text) > _MAX_LETTERS:
            raise TokenMalformed(kind, f"it has more than {_MAX_LETTERS} letters")
        shape = _SHAPE.fullmatch(text.strip().lower())
        if shape is None:
            raise TokenMalformed(
                kind, f"it must look like {kind.value}_…; copy it whole, without quotes or line breaks"
            )
        found, token_id, secret, check = shape.groups()
        if check != _check(f"{found}_{token_id}_{secret}"):
            raise TokenMalformed(kind, "its check letters are wrong, so it was mistyped; copy it again")
        if found != kind.value:
            raise TokenMalformed(kind, f"it is {_named(TokenKind(found))}")
        return cls(kind, token_id, secret)

    @property
    def tag(self) -> str:
        """What tells its cell."""
        return self.id[:_TAG]

    def is_of(self, cell: str) -> bool:
        """Whether it can be of the cell of that name."""
        return self.tag == cell_tag(cell)

    def digest(self) -> str:
        """What a cell keeps of the secret: SHA-256 over the whole text, in hex. 160 random bits need no slow hash."""
        return hashlib.sha256(self.reveal().encode()).hexdigest()

    def reveal(self) -> str:
        """The text itself."""
        body = f"{self.kind.value}_{self.id}_{self._secret}"
        return body + _check(body)

    def with_secret(self, secret_bytes: bytes) -> Token:
        """The same token with a new secret of 20 random bytes."""
        if len(secret_bytes) != SECRET_BYTES:
            raise ValueError(f"a secret takes {SECRET_BYTES} random bytes")
        return Token(self.kind, self.id, _letters(secret_bytes))

    def __repr__(self) -> str:
        return f"{self.kind.value}_{self.id}_***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Token) and self.digest() == other.digest()

    def __hash__(self) -> int:
        return hash(self.digest())

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a token cannot be copied or pickled")


def machine_token(invite: Token, *, id_bytes: bytes, secret_bytes: bytes) -> Token:
    """The token that a machine brings when it joins by this invite, from random bytes, 8 and 20.

    Keep it before asking: then a lost answer, or a crash, costs nothing, because asking again with it is answered again.
    """
    return Token.make(TokenKind.MACHINE, tag=invite.tag, id_bytes=id_bytes, secret_bytes=secret_bytes)


def cell_tag(cell: str) -> str:
    """Four letters that follow from the cell's name."""
    return _letters(hashlib.sha256(cell.encode()).digest())[:_TAG]


def is_id(text: str) -> bool:
    """Whether an invite or token can have this id."""
    return re.fullmatch(r"[a-z2-7]{16}", text) is not None


def _letters(raw: bytes) -> str:
    return base64.b32encode(raw).decode().rstrip("=").lower()


def _check(body: str) -> str:
    """Seven letters of a checksum: 32 bits."""
    return _letters(zlib.crc32(body.encode()).to_bytes(4, "big"))


def _named(kind: TokenKind) -> str:
    return _NAMES[kind]


_NAMES: Final = {
    TokenKind.INVITE: "an invite (nsi_…)",
    TokenKind.MACHINE: "the token of a machine (nsm_…)",
    TokenKind.KEY: "a key (nsk_…)",
}
