"""Free slots that were given away since the fleet was last looked at: a view is up to a second old, and many jobs come in a second."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Sums of shares that make a whole slot may miss it by this.
_ROUNDING = 1e-6


class GivenSlots:
    """By pool. A job that is sent to a pool takes one of its slots, and one of each other pool as far as these have the same machines."""

    def __init__(self) -> None:
        self._slots: dict[str, float] = {}
        #: What a view that is being read cannot know of.
        self._during: dict[str, float] = {}

    def of(self, pool: str) -> int:
        """Slots of the pool that somebody has by now, though the view calls them free."""
        return math.floor(self._slots.get(pool, 0.0) + _ROUNDING) if self._slots else 0

    def give(self, pool: str, shared: Mapping[str, float]) -> None:
        """A job goes to the pool; `shared` says for each pool which part of this one's slots is that pool's too, its own among them."""
        for slots in (self._slots, self._during):
            for other, part in (shared or {pool: 1.0}).items():
                slots[other] = slots.get(other, 0.0) + part

    def view_begins(self) -> None:
        """The fleet is being read: what is given from now on is not in what will be read."""
        self._during = {}

    def view_is_new(self) -> None:
        """What was given before the reading began is in the view."""
        self._slots, self._during = self._during, {}
