"""The catalogue as a process that routes keeps it: whole, in memory, and never older than a second."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from northstar.broker.catalogue import read_model
from northstar.domain.catalogue import MODEL_DOCUMENTS
from northstar.policy.models.catalogue_index import CatalogueIndex
from northstar.store.bells import Connected, DocumentsChanged
from northstar.store.documents import DocumentsView

if TYPE_CHECKING:
    from collections.abc import Callable

    from northstar.store.bells import Ring
    from northstar.store.cell import Cell

#: A change of which no bell was heard counts after so long.
FRESH_S: Final = 0.8


class CatalogueView:
    """The catalogue of one cell. Whoever listens to the cell's bells passes them to `hear`, so that a change counts at once.

    Without bells, or if one is lost, a change counts after `fresh_s` seconds; a look whether there is one costs one short read.
    """

    def __init__(self, cell: Cell, *, monotonic: Callable[[], float], fresh_s: float = FRESH_S) -> None:
        self._documents = DocumentsView(cell.client, cell.keys, MODEL_DOCUMENTS, decode=read_model)
        self._monotonic = monotonic
        self._fresh_s = fresh_s
        self._looked_s = -math.inf
        self._index = CatalogueIndex()

    @property
    def latest(self) -> CatalogueIndex:
        """As it was at the last look."""
        return self._index

    async def current(self) -> CatalogueIndex:
        """As it is now. Raises Unavailable when the server does not answer."""
        now_s = self._monotonic()
        if now_s - self._looked_s >= self._fresh_s:
            # Before the read: a bell that rings during it asks for another.
            self._looked_s = now_s
            try:
                if await self._documents.refresh():
                    self._index = CatalogueIndex(self._documents.values.values())
            except BaseException:
                self._looked_s = -math.inf
                raise
        return self._index

    def hear(self, ring: Ring) -> None:
        """Look anew at the next question if something may have changed."""
        if isinstance(ring, (DocumentsChanged, Connected)):
            self._looked_s = -math.inf
