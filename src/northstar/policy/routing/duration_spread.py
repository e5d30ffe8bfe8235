"""How far off estimates turn out to be: quantiles of the error that follow what happens, and the share that was near.

Gibbs and Candès, "Adaptive Conformal Inference Under Distribution Shift" (NeurIPS 2021): after each outcome a bound moves by a
step times (missed - wanted share of misses), so its coverage comes out as asked whatever the distribution does.

Whatever the distribution does includes a machine that lies: one in eight of all runs would drive a bound of one in ten anywhere. So the
bounds stay near the middle of those that each machine's runs alone would have (`Spreads`).
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

from northstar.policy.routing.duration_voices import middle, within_of

#: Step of the bounds in natural logarithms, and of the share that was near.
_STEP: Final = 0.05
_SHARE_STEP: Final = 0.01
_TAIL: Final = 0.1
#: Where nobody has been measured: a factor of 1.6, and every third near.
_START: Final = 0.45
_START_NEAR: Final = 0.35
_NEAR: Final = 0.25
#: Machines whose errors are kept apart; the one heard longest ago goes first. Twenty runs are the fewest that move a bound by as much as
#: honest machines differ.
_MAX_MACHINES: Final = 16
_ENOUGH: Final = 20
#: How far from the middle of the machines' own the bounds may lie, in natural logarithms, and the share that was near.
_BOUND_WITHIN: Final = 0.4
_NEAR_WITHIN: Final = 0.15
#: Where several machines have run the same: runs whose errors are all taken in, and of those that come after them the share, of 2**32.
_ALL_OF: Final = 1_000
_SHARE: Final = 2**32 // 4
#: 2**32 divided by the golden ratio, which no period of a fleet's turns comes near: so whose runs are taken follows no machine's turn.
_STRIDE: Final = 2_654_435_769


def is_judged(number: int) -> bool:
    """Whether the error of this run, counted from 1, is taken in although several machines have run the same.

    Of the first thousand each is, then one in four, spread evenly: what several machines say must be worked out anew to foretell a run, and
    to foretell one that is over only to see how far off that is costs as much as to learn it.

    >>> is_judged(1_000), sum(is_judged(number) for number in range(1_001, 9_001))
    (True, 2000)
    """
    return number <= _ALL_OF or number * _STRIDE % 2**32 < _SHARE


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


class Spreads(msgspec.Struct, kw_only=True):
    """The errors of one kind as all machines together show them; `said` never goes far from the middle of what each alone shows."""

    said: Spread = msgspec.field(default_factory=Spread)
    #: By machine, the one known longest first; and in which run it was heard last.
    machines: dict[str, Spread] = {}
    heard: dict[str, int] = {}

    def learn(self, error: float, *, machine: str = "") -> None:
        """Take in how far off an estimate was."""
        own = self.machines.get(machine)
        if own is None:
            own = self.machines[machine] = Spread()
        self.said.learn(error)
        own.learn(error)
        self.heard[machine] = self.said.runs
        if len(self.machines) > _MAX_MACHINES:
            silent = min(self.heard, key=self.heard.__getitem__)
            del self.machines[silent], self.heard[silent]
        if len(self.machines) > 1:
            self._stay_near_the_middle()

    def _stay_near_the_middle(self) -> None:
        known = [spread for spread in self.machines.values() if spread.runs >= _ENOUGH]
        if not known:
            return
        said, equal = self.said, [1.0] * len(known)
        low = middle([spread.low for spread in known], equal)
        high = middle([spread.high for spread in known], equal)
        said.low = min(within_of(said.low, low, _BOUND_WITHIN), 0.0)
        said.high = max(within_of(said.high, high, _BOUND_WITHIN), 0.0)
        said.near = within_of(said.near, middle([spread.near for spread in known], equal), _NEAR_WITHIN)
