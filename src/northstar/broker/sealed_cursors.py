"""Cursors of lists that are looked through across tenants: they name jobs of others, so whoever is handed one can read nothing in it.

Any broker of a cell reads what another one gave: the key is the cell's, kept as a document that no interface shows, and made when the first
cursor is given. It is looked at each time, one short read, so a cell that was restored has the one of its backup everywhere at once.
"""

from __future__ import annotations

import base64
import contextlib
from typing import TYPE_CHECKING, Final

import msgspec

from northstar.broker.job_lists import CursorInvalid
from northstar.domain.refusals import DocumentChanged
from northstar.domain.sealing import KEY_BYTES, seal, unseal
from northstar.store.documents import DocumentUnreadable, WantedDocument, put_documents, read_document

if TYPE_CHECKING:
    from collections.abc import Callable

    from northstar.store.cell import Cell

KIND: Final = "cursor_key"
_NAME: Final = "cell"
_BY: Final = "northstar"


class SealedCursors:
    """The cursors of a cell's lists. `random_bytes` gives secret random bytes."""

    def __init__(self, cell: Cell, *, random_bytes: Callable[[int], bytes]) -> None:
        self._cell = cell
        self._random_bytes = random_bytes

    async def sealed(self, cursor: str, *, of: str) -> str:
        """What a client is handed for a cursor of a list; nothing for none. Raises TooManyDocuments, DocumentsTooLarge, Unavailable."""
        return seal(cursor, key=await self._key(), about=of) if cursor else ""

    async def opened(self, sealed: str, *, of: str) -> str:
        """The cursor that a client has handed back. Raises CursorInvalid: this list of this cell has not given it; Unavailable."""
        if not sealed:
            return ""
        key = await self._known()
        try:
            if key is None:
                raise CursorInvalid
            return unseal(sealed, key=key, about=of)
        except ValueError:
            raise CursorInvalid from None

    async def _key(self) -> bytes:
        key = await self._known()
        if key is not None:
            return key
        body = msgspec.json.encode(base64.b64encode(self._random_bytes(KEY_BYTES)).decode()).decode()
        with contextlib.suppress(DocumentChanged):  # another broker was first
            await put_documents(self._cell, [WantedDocument(kind=KIND, name=_NAME, body=body, expected=0)], by=_BY)
        key = await self._known()
        if key is None:
            raise DocumentUnreadable(KIND, _NAME, reason="it is gone")
        return key

    async def _known(self) -> bytes | None:
        document = await read_document(self._cell.client, self._cell.keys, KIND, _NAME)
        if document is None:
            return None
        try:
            return base64.b64decode(msgspec.json.decode(document.body, type=str), validate=True)
        except (msgspec.MsgspecError, ValueError) as exc:
            raise DocumentUnreadable(KIND, _NAME, reason=str(exc)[:200]) from exc
