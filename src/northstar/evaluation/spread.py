"""What several seeds gave: the median is judged, and how far they lie apart is shown."""

from __future__ import annotations

import math
from statistics import median
from typing import TYPE_CHECKING

import msgspec

from northstar.evaluation.errors import MeasurementImpossible

if TYPE_CHECKING:
    from collections.abc import Sequence


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """Of one figure over seeds."""

    median: float
    least: float
    most: float
    runs: int


def spread_of(figure: str, values: Sequence[float]) -> Spread:
    """The spread of values, one for each seed. Raises MeasurementImpossible."""
    if not values:
        raise MeasurementImpossible(figure, "no run has a value for it")
    if not all(math.isfinite(value) for value in values):
        raise MeasurementImpossible(figure, "a value is not a finite number")
    return Spread(median=float(median(values)), least=min(values), most=max(values), runs=len(values))
