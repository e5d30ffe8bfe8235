"""The time of a simulation: milliseconds that pass only when the engine says so."""

from __future__ import annotations

from typing import Final

#: Where a simulation's time 0 lies for its cell, ms since epoch: the first of January 2025, UTC. A cell takes 0 for "not yet".
BEGINNING_MS: Final = 1_735_689_600_000


class VirtualClock:
    """Time is an argument everywhere else; this is where it comes from."""

    def __init__(self) -> None:
        #: Since the beginning of the simulation.
        self.now_ms = 0

    @property
    def cell_ms(self) -> int:
        """The same moment as the cell counts it, ms since epoch."""
        return BEGINNING_MS + self.now_ms

    def seconds(self) -> float:
        """What deployed code takes for monotonic or wall-clock time, seconds."""
        return self.cell_ms / 1000

    def advance(self, to_ms: int) -> None:
        """Let time pass. Raises ValueError: it would run backwards."""
        if to_ms < self.now_ms:
            raise ValueError(f"time stands at {self.now_ms} ms and cannot go back to {to_ms} ms")
        self.now_ms = to_ms


def in_ms(seconds: float) -> int:
    """Whole milliseconds, as the cell counts; what takes any time at all takes one.

    >>> in_ms(0.0), in_ms(0.0001), in_ms(2.5)
    (0, 1, 2500)
    """
    return max(1, round(seconds * 1000)) if seconds > 0 else 0
