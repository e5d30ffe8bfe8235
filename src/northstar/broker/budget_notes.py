"""Budgets that are nearly or wholly spent: documents of the cell, so that every process of it means the same.

Each note comes and goes with an event of its own (`document.put` and `document.dropped`, kinds `budget-warning` and `budget-stop`), which
the audit, webhooks and whoever listens are told of. The function library compares and sets, so of several brokers one puts it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from northstar.domain.budgets import NORTH_STAR, BudgetNote
from northstar.domain.refusals import DocumentChanged
from northstar.store.bells import Connected, DocumentsChanged
from northstar.store.documents import (
    Document,
    DocumentsView,
    NamedDocument,
    WantedDocument,
    drop_documents,
    put_documents,
    read_document,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from northstar.store.bells import Ring
    from northstar.store.cell import Cell

#: Kinds of documents. The name of a note is whose budget it is: a tenant, or `*` for the fleet.
STOP: Final = "budget-stop"
WARNING: Final = "budget-warning"
_read_note = msgspec.json.Decoder(BudgetNote).decode


class BudgetNotes:
    """The notes of one kind in one cell, as of the last `look`."""

    def __init__(self, cell: Cell, kind: str = STOP) -> None:
        self._cell = cell
        self._kind = kind
        self._view = DocumentsView(cell.client, cell.keys, kind, decode=_note)

    @property
    def all(self) -> Mapping[str, BudgetNote]:
        """By whose budget it is."""
        return self._view.values

    async def look(self) -> bool:
        """Whether any has come or gone since the last look. One short read while nothing has. Raises Unavailable."""
        return await self._view.refresh()

    async def put(self, whose: str, note: BudgetNote) -> bool:
        """Note it, unless this one has been noted, or another since the last look; whether it was this call that did.

        Raises:
            TooManyDocuments, DocumentsTooLarge: a bound of the cell. Unavailable: it does not answer.
        """
        known = await read_document(self._cell.client, self._cell.keys, self._kind, whose)
        body = msgspec.json.encode(note).decode()
        wanted = WantedDocument(kind=self._kind, name=whose, body=body, expected=0 if known is None else known.version)
        try:
            reply = await put_documents(self._cell, [wanted], by=NORTH_STAR)
        except DocumentChanged:
            return False  # another broker was first
        return any(fresh for _, fresh in reply.documents)

    async def drop(self, whose: str) -> bool:
        """Take it back; whether it was this call that did. Raises Unavailable."""
        reply = await drop_documents(self._cell, [NamedDocument(kind=self._kind, name=whose)], by=NORTH_STAR)
        return any(reply.dropped)


def means_documents(ring: Ring) -> bool:
    """Whether documents may have changed."""
    return isinstance(ring, (DocumentsChanged, Connected))


def _note(document: Document) -> BudgetNote:
    return _read_note(document.body)
