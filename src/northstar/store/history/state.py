"""How a cell's history does, as the cell itself knows it: nothing here asks the history's database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from northstar.store.events import read_events
from northstar.store.history.bond import read_bond
from northstar.store.history.continuity import BEGINNING

if TYPE_CHECKING:
    from northstar.store.cell import Cell

#: An event that has waited for so long is not only being gathered with others.
_PATIENCE_MS: Final = 10_000


class HistoryState(msgspec.Struct, frozen=True, kw_only=True):
    """Where a cell's events go, and what is in their way. Empty texts and 0 where there is nothing to say."""

    place: str
    #: Which host's broker said so.
    host: str
    #: How long the oldest event has waited, or the error has stood.
    waiting_ms: int
    #: The error because of which nothing is taken.
    code: str
    sentence: str

    @property
    def stuck(self) -> bool:
        """Whether something must be done about it."""
        return bool(self.code) or self.waiting_ms >= _PATIENCE_MS


async def read_history_state(cell: Cell, *, now_ms: int) -> HistoryState:
    """The state at the cell's time `now_ms`. Raises Unavailable when the server does not answer."""
    bond = await read_bond(cell)
    # What the history has is trimmed, so the first event that is there is the oldest that waits.
    oldest = await read_events(cell.client, cell.keys, after=BEGINNING, count=1)
    since_ms = bond.trouble_ms if bond and bond.code else oldest[0].at_ms if oldest else now_ms
    return HistoryState(
        place=bond.place if bond else "",
        host=bond.host if bond else "",
        waiting_ms=max(0, now_ms - since_ms),
        code=bond.code if bond else "",
        sentence=bond.sentence if bond else "",
    )
