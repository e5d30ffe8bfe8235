"""Budgets that are nearly or wholly spent, and that of the fleet: documents of the cell, so that every process of it means the same.

Each note comes and goes with an event of its own (`document.put` and `document.dropped`, kinds `budget-warning` and `budget-stop`), which
the audit, webhooks and whoever listens are told of. The function library compares and sets, so of several brokers one puts it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from northstar.domain.budgets import NORTH_STAR, Budget, BudgetNote, Usd
from northstar.domain.refusals import DocumentChanged
from northstar.store.bells import Connected, DocumentsChanged
from northstar.store.documents import (
    Document,
    DocumentsView,
    DocumentUnreadable,
    NamedDocument,
    WantedDocument,
    drop_documents,
    put_documents,
    read_document,
)
from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from northstar.store.bells import Ring
    from northstar.store.cell import Cell

log = logger(__name__)

#: Kinds of documents. The name of a note is whose budget it is: a tenant, or `*` for the fleet.
STOP: Final = "budget-stop"
WARNING: Final = "budget-warning"
_FLEET: Final = "budget"
_CURRENT: Final = "current"
_read_note = msgspec.json.Decoder(BudgetNote).decode


class FleetBudget(msgspec.Struct, frozen=True, kw_only=True):
    """The budget of the whole cell, and the share of any budget that is warned of, as the broker that started last was told."""

    usd_per_day: Usd = 0.0
    usd_per_month: Usd = 0.0
    warn_at: float = 0.8

    @property
    def budget(self) -> Budget:
        """What may be spent."""
        return Budget(usd_per_day=self.usd_per_day, usd_per_month=self.usd_per_month)


async def declare_fleet_budget(cell: Cell, wanted: FleetBudget, *, by: str) -> None:
    """Have all brokers of the cell go by this one from now on. One that says the same changes nothing.

    Raises:
        TooManyDocuments, DocumentsTooLarge: a bound of the cell. Unavailable: it does not answer.
    """
    # On a full server nothing is put, also what is there already.
    before = await read_fleet_budget(cell)
    if before == wanted:
        return
    body = msgspec.json.encode(wanted).decode()
    await put_documents(cell, [WantedDocument(kind=_FLEET, name=_CURRENT, body=body)], by=by)
    was, now = (msgspec.to_builtins(one) for one in (before, wanted))
    log.warning("fleet_budget_changed", cell=cell.name, was=was, now=now)


async def read_fleet_budget(cell: Cell) -> FleetBudget:
    """The one that holds. Raises Unavailable; DocumentUnreadable: a newer version wrote it."""
    found = await read_document(cell.client, cell.keys, _FLEET, _CURRENT)
    try:
        return FleetBudget() if found is None else msgspec.json.decode(found.body, type=FleetBudget)
    except msgspec.MsgspecError as exc:
        raise DocumentUnreadable(_FLEET, _CURRENT, reason=str(exc)[:200]) from exc


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
