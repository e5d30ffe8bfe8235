"""How far off estimates turn out to be: quantiles of the error that follow what happens, and the share that was near.

Gibbs and Candès, "Adaptive Conformal Inference Under Distribution Shift" (NeurIPS 2021): after each outcome a bound moves by a
step times (missed - wanted share of misses), so its coverage comes out as asked whatever the distribution does.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

#: Step of the bounds in natural logarithms, and of the share that was near.
_STEP: Final = 0.05
_SHARE_STEP: Final = 0.01
_TAIL: Final = 0.1
#: Where nobody has been measured: a factor of 1.6, and every third near.
_START: Final = 0.45
_START_NEAR: Final = 0.35
_NEAR: Final = 0.25


class Spread(msgspec.Struct, kw_only=True):
    """Errors of the estimates of one kind: of logarithms, actual less expected."""

    low: float = -_START
    high: float = _START
    near: float = _START_NEAR
    runs: int = 0

    def learn(self, error: float) -> None:
        """Take in how far off an estimate was that did not know the outcome."""
        self.runs += 1
        self.low = min(self.low + _STEP * (_TAIL - (error < self.low)), 0.0)
        self.high = max(self.high + _STEP * ((error > self.high) - _TAIL), 0.0)
        is_near = abs(math.expm1(min(error, 1.0))) <= _NEAR
        self.near += max(_SHARE_STEP, 1 / (self.runs + 10)) * (is_near - self.near)
