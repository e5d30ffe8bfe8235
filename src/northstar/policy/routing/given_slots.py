"""Free slots that were given away since the fleet was last looked at: a view is up to two seconds old, and many jobs come in a second.

Of one process: what others submit meanwhile is seen with the next look at the fleet.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

#: Sums of shares that make a whole slot may miss it by this.
_ROUNDING = 1e-6


class GivenSlots:
    """By pool. A job that is sent to a pool takes one of its slots, and one of each other pool as far as these have the same machines."""

    def __init__(self) -> None:
        self._slots: dict[str, float] = {}
        #: What a view that is being read need not know of.
        self._during: dict[str, float] = {}
        #: What batches want that the cell has not answered yet, and how many these are: no view can be relied on to have them.
        self._wanted: dict[str, float] = {}
        self._open = 0

    def of(self, pool: str) -> int:
        """Slots of the pool that somebody has by now, or is about to have, though the view calls them free."""
        return math.floor(self._slots.get(pool, 0.0) + self._wanted.get(pool, 0.0) + _ROUNDING)

    def give(self, pool: str, shared: Mapping[str, float]) -> None:
        """The cell has a job of the pool; `shared` says for each pool which part of this one's slots is that pool's too, its own among them."""
        for slots in (self._slots, self._during):
            _add(slots, pool, shared)

    def batch(self) -> GivenBatch:
        """For jobs that go to the cell together; to be used as a context."""
        return GivenBatch(self)

    def opened(self) -> None:
        """A batch begins."""
        self._open += 1

    def wanted(self, pool: str, shared: Mapping[str, float]) -> None:
        """A job of a batch goes to the pool, whatever views are read until it is `settled`; `shared` as for `give`."""
        _add(self._wanted, pool, shared)

    def settled(self, pool: str, shared: Mapping[str, float]) -> None:
        """That job is there, or will not be."""
        _add(self._wanted, pool, shared, times=-1)

    def closed(self) -> None:
        """A batch has ended."""
        self._open -= 1
        if not self._open:
            self._wanted = {}  # also what rounding has left of it

    def view_begins(self) -> None:
        """The fleet is being read: what the cell takes from now on may not be in what will be read, and what it has taken is."""
        self._during = {}

    def view_is_new(self) -> None:
        """What the cell had taken before the reading began is in the view."""
        self._slots, self._during = self._during, {}


class GivenBatch:
    """Slots of jobs that are on their way to the cell. Each job counts for those after it, and for others' jobs, before it is there.

    What was not taken when the context ends counts no more: it was refused. Of a batch whose answer was lost nobody knows; it counts as
    refused, and the next look at the fleet tells.
    """

    def __init__(self, slots: GivenSlots) -> None:
        self._all = slots
        self._jobs: list[tuple[str, Mapping[str, float]]] = []

    def __enter__(self) -> Self:
        self._all.opened()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pool, shared in self._jobs:
            self._all.settled(pool, shared)
        self._all.closed()

    def give(self, pool: str, shared: Mapping[str, float]) -> None:
        """The next job of the batch goes to the pool; `shared` as for `GivenSlots.give`."""
        self._jobs.append((pool, shared))
        self._all.wanted(pool, shared)

    def taken(self, is_new: Sequence[bool]) -> None:
        """The cell has answered: for each job, in order, whether it came in by this batch. One that it knew already has its slot since then."""
        for (pool, shared), came_in in zip(self._jobs, is_new, strict=True):
            self._all.settled(pool, shared)
            if came_in:
                self._all.give(pool, shared)
        self._jobs = []


def _add(slots: dict[str, float], pool: str, shared: Mapping[str, float], *, times: int = 1) -> None:
    for other, part in (shared or {pool: 1.0}).items():
        slots[other] = slots.get(other, 0.0) + times * part
