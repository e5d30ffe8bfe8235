"""Smooth random shapes: lines for hills, sheets for clouds."""

from __future__ import annotations

import random
from typing import Final

_TABLE: Final = 256


class Noise:
    """Values in 0..1 that change smoothly with their place; equal seeds give equal values."""

    def __init__(self, source: random.Random) -> None:
        """`source` decides everything."""
        self._values = [source.random() for _ in range(_TABLE)]
        self._places = list(range(_TABLE))
        source.shuffle(self._places)

    def line(self, x: float, *, octaves: int = 5) -> float:
        """The height at `x`, of `octaves` layers of detail."""
        return self.sheet(x, 0.5, octaves=octaves)

    def sheet(self, x: float, y: float, *, octaves: int = 4) -> float:
        """The density at a point, of `octaves` layers of detail."""
        total = weight = 0.0
        size = 1.0
        for _ in range(octaves):
            total += size * self._at(x, y)
            weight += size
            size *= 0.5
            x, y = 2.03 * x + 17.1, 2.03 * y + 5.7
        return total / weight

    def _at(self, x: float, y: float) -> float:
        column, row = int(x // 1), int(y // 1)
        u, v = x - column, y - row
        u, v = u * u * (3 - 2 * u), v * v * (3 - 2 * v)
        values, places = self._values, self._places
        top, bottom = places[row % _TABLE], places[(row + 1) % _TABLE]
        a, b = values[(column + top) % _TABLE], values[(column + 1 + top) % _TABLE]
        c, d = values[(column + bottom) % _TABLE], values[(column + 1 + bottom) % _TABLE]
        upper = a + (b - a) * u
        return upper + (c + (d - c) * u - upper) * v
