"""What is still to happen in a simulation, in order: by time, and at one moment in the order in which it was put down."""

from __future__ import annotations

import heapq
from collections.abc import Awaitable, Callable
from typing import TypeAlias

Happening: TypeAlias = Callable[[], Awaitable[None]]


class Entry:
    """Something that will happen, unless it is struck out before."""

    __slots__ = ("at_ms", "happens", "is_struck", "number")

    def __init__(self, at_ms: int, number: int, happens: Happening) -> None:
        self.at_ms = at_ms
        self.number = number
        self.happens = happens
        self.is_struck = False

    def __lt__(self, other: Entry) -> bool:
        return (self.at_ms, self.number) < (other.at_ms, other.number)

    def strike(self) -> None:
        """It does not happen."""
        self.is_struck = True


class Agenda:
    """Bounded by what lives in the simulation: each job and each machine has a few entries at a time."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._number = 0

    def __len__(self) -> int:
        return len(self._entries)

    def at(self, at_ms: int, happens: Happening) -> Entry:
        """Have something happen at this moment, after whatever was put down for it already."""
        self._number += 1
        entry = Entry(at_ms, self._number, happens)
        heapq.heappush(self._entries, entry)
        return entry

    def next_ms(self) -> int | None:
        """When the next thing happens; None: nothing is left."""
        entries = self._entries
        while entries and entries[0].is_struck:
            heapq.heappop(entries)
        return entries[0].at_ms if entries else None

    def take(self) -> Entry:
        """The next entry, which is on the agenda no more. Raises IndexError: nothing is left."""
        while True:
            entry = heapq.heappop(self._entries)
            if not entry.is_struck:
                return entry
