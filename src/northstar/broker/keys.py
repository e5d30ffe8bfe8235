"""Keys of one cell: making, replacing and revoking them, and letting in who shows one.

Texts come in and go out here; the cell keeps digests, as documents of kind `key`, each change with an event that says who made it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

from northstar.broker.admission import TokenForeign
from northstar.domain.api_keys import (
    MOST_SECRETS,
    Caller,
    KeyExpired,
    KeyTerms,
    KeyUnknown,
    KeyView,
    Secret,
    StoredKey,
)
from northstar.domain.errors import Refused
from northstar.domain.tokens import ID_BYTES, SECRET_BYTES, Token, TokenKind, cell_tag, is_id
from northstar.store.documents import (
    Document,
    DocumentUnreadable,
    NamedDocument,
    WantedDocument,
    drop_documents,
    put_documents,
    read_document,
    read_documents,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from northstar.store.cell import Cell

_KIND: Final = "key"


class NoSuchKey(Refused):
    """The cell has no key of this id."""

    code: ClassVar[str] = "NS_NO_SUCH_KEY"

    def __init__(self, key_id: str) -> None:
        super().__init__(f"there is no key {key_id!r}; northstar keys list shows those that there are")
        self.key_id = key_id


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key whose text exists only here. The repr hides it."""

    key: Token
    stored: StoredKey


class Keys:
    """Keys of one cell. `random_bytes` gives secret random bytes, `now_ms` wall-clock time.

    Nothing is remembered: each call looks at the cell, one short read, so a revocation counts everywhere from the moment it is made.
    """

    def __init__(self, cell: Cell, *, random_bytes: Callable[[int], bytes], now_ms: Callable[[], int]) -> None:
        self._cell = cell
        self._random_bytes = random_bytes
        self._now_ms = now_ms

    async def make(self, terms: KeyTerms, *, by: str) -> NewKey:
        """Make a key. Raises KeyInvalid, TooManyDocuments, DocumentsTooLarge."""
        terms.check()
        key = Token.make(
            TokenKind.KEY,
            tag=cell_tag(self._cell.name),
            id_bytes=self._random_bytes(ID_BYTES),
            secret_bytes=self._random_bytes(SECRET_BYTES),
        )
        now_ms = self._now_ms()
        stored = StoredKey(
            name=terms.name,
            scopes=terms.scopes,
            tenant=terms.tenant,
            secrets=(Secret(digest=key.digest()),),
            created_ms=now_ms,
            expires_ms=0 if terms.expires_in_s is None else now_ms + int(terms.expires_in_s * 1000),
        )
        await self._put(key.id, stored, expected=0, by=by)
        return NewKey(key=key, stored=stored)

    async def rotate(self, key_id: str, *, grace_s: float, by: str) -> NewKey:
        """Give a key another secret; former ones count for `grace_s` more, the oldest of too many not at all. Raises NoSuchKey, DocumentChanged."""
        document, stored = await self._stored(key_id)
        key = Token(TokenKind.KEY, key_id, "").with_secret(self._random_bytes(SECRET_BYTES))
        now_ms = self._now_ms()
        until_ms = now_ms + int(grace_s * 1000)
        former = [
            msgspec.structs.replace(one, until_ms=min(one.until_ms or until_ms, until_ms)) for one in stored.secrets
        ]
        kept = [one for one in former if one.until_ms > now_ms][-(MOST_SECRETS - 1) :]
        changed = msgspec.structs.replace(stored, secrets=(*kept, Secret(digest=key.digest())))
        await self._put(key_id, changed, expected=document.version, by=by)
        return NewKey(key=key, stored=changed)

    async def revoke(self, key_id: str, *, by: str) -> None:
        """Have a key count no more. Raises NoSuchKey."""
        if not is_id(key_id):
            raise NoSuchKey(key_id)
        reply = await drop_documents(self._cell, [NamedDocument(kind=_KIND, name=key_id)], by=by)
        if not reply.dropped[0]:
            raise NoSuchKey(key_id)

    async def views(self) -> list[KeyView]:
        """All keys, the oldest first. Raises Unavailable."""
        found = await read_documents(self._cell.client, self._cell.keys, _KIND)
        now_ms = self._now_ms()
        views = [_view(name, document, _read(document), now_ms=now_ms) for name, document in found.items()]
        return sorted(views, key=lambda view: (view.created_ms, view.id))

    async def get(self, key_id: str) -> KeyView:
        """One key. Raises NoSuchKey, Unavailable."""
        document, stored = await self._stored(key_id)
        return _view(key_id, document, stored, now_ms=self._now_ms())

    async def authenticate(self, text: str) -> Caller:
        """Who shows this key.

        Raises:
            TokenMalformed, TokenForeign: the text is no key of this cell.
            KeyUnknown, KeyExpired: it does not count.
            Unavailable: the cell does not answer.
        """
        key = Token.parse(text, TokenKind.KEY)
        if not key.is_of(self._cell.name):
            raise TokenForeign(key, self._cell.name)
        document = await read_document(self._cell.client, self._cell.keys, _KIND, key.id)
        if document is None:
            raise KeyUnknown
        stored, now_ms = _read(document), self._now_ms()
        if not stored.counts(key.digest(), now_ms=now_ms):
            raise KeyUnknown
        if stored.is_over(now_ms=now_ms):
            raise KeyExpired(key.id)
        return Caller(key_id=key.id, name=stored.name, scopes=frozenset(stored.scopes), tenant=stored.tenant)

    async def _stored(self, key_id: str) -> tuple[Document, StoredKey]:
        document = None
        if is_id(key_id):
            document = await read_document(self._cell.client, self._cell.keys, _KIND, key_id)
        if document is None:
            raise NoSuchKey(key_id)
        return document, _read(document)

    async def _put(self, key_id: str, stored: StoredKey, *, expected: int, by: str) -> None:
        body = msgspec.json.encode(stored).decode()
        wanted = WantedDocument(kind=_KIND, name=key_id, body=body, expected=expected)
        await put_documents(self._cell, [wanted], by=by)


def _read(document: Document) -> StoredKey:
    """Raises DocumentUnreadable: a newer version wrote it."""
    try:
        return msgspec.json.decode(document.body, type=StoredKey)
    except msgspec.MsgspecError as exc:
        raise DocumentUnreadable(_KIND, document.name, reason=str(exc)[:200]) from exc


def _view(key_id: str, document: Document, stored: StoredKey, *, now_ms: int) -> KeyView:
    return KeyView(
        id=key_id,
        name=stored.name,
        scopes=stored.scopes,
        tenant=stored.tenant,
        created_ms=stored.created_ms,
        expires_ms=stored.expires_ms,
        former=sum(1 for one in stored.secrets[:-1] if one.until_ms > now_ms),
        by=document.by,
        changed_ms=document.at_ms,
    )
