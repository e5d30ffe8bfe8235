"""The size of one part of a fleet: the cheapest number of the cheapest machines, as far as trials have told it."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import msgspec

from northstar.policy.fleet.machine_bracket import MachineBracket

_Count = Annotated[int, msgspec.Meta(ge=1)]


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """Machines that a part may consist of."""

    name: str
    usd_per_hour: Annotated[float, msgspec.Meta(ge=0)]
    #: Fewer than these cannot do the work, whatever else holds.
    least: _Count = 1
    #: As many will be about right.
    guess: _Count = 1


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the fleet, with what it may consist of."""

    name: str
    choices: Annotated[tuple[Choice, ...], msgspec.Meta(min_length=1)]
    #: As many machines as it may have at most; the search may have a smaller bound.
    most: _Count = 1_000_000


class Seat(NamedTuple):
    """What a part consists of in a trial: a choice, by its place, and how many machines of it."""

    choice: int
    machines: int


class Verdict(NamedTuple):
    """Of one part: whether it is good enough (None: the trial was settled before that was known), and how far it is above its goal, as a share of jobs."""

    met: bool | None
    margin: float = 0.0


class PartSizing:
    """One part: the cheapest number of machines of the cheapest choice, as far as it is known."""

    def __init__(self, part: Part, most: int) -> None:
        self._part = part
        self._most = most
        self._left = sorted(range(len(part.choices)), key=lambda at: (part.choices[at].usd_per_hour, at))
        self._now = -1
        self._bracket: MachineBracket | None = None
        self._best: Seat | None = None
        #: Where none is good enough: the nearest, and how near.
        self._nearest: tuple[float, Seat] | None = None
        self._is_lost = False

    @property
    def is_met(self) -> bool:
        """Whether it is good enough."""
        return self._best is not None and not self._is_lost

    @property
    def seat(self) -> Seat:
        """What it consists of until something better is known."""
        if self._best is not None:
            return self._best
        if self._nearest is not None:
            return self._nearest[1]
        return Seat(self._left[0] if self._now < 0 else self._now, min(self._most, self._part.choices[0].guess))

    @property
    def choice(self) -> Choice:
        """The machines that it consists of."""
        return self._part.choices[self.seat.choice]

    def cost(self, seat: Seat) -> float:
        """Dollars per hour."""
        return seat.machines * self._part.choices[seat.choice].usd_per_hour

    def next(self) -> Seat | None:
        """What to try next; None: nothing more."""
        while True:
            count = None if self._bracket is None else self._bracket.next()
            if count is not None:
                return Seat(self._now, count)
            if not self._left:
                return None
            self._now = self._left.pop(0)
            self._bracket = self._bracket_of(self._part.choices[self._now])

    def _bracket_of(self, choice: Choice) -> MachineBracket | None:
        most, first = self._most, choice.guess
        if self._best is not None and choice.usd_per_hour > 0:
            # Only as many as are cheaper than what is known; if these are too few, the choice is settled by one trial.
            most = min(most, _below(self.cost(self._best), choice.usd_per_hour))
            first = most
        if most < choice.least:
            return None
        return MachineBracket(least=choice.least, most=most, first=first, step=max(1, choice.guess // 4))

    def learn(self, seat: Seat, verdict: Verdict) -> None:
        """What came of the last one."""
        assert self._bracket is not None  # noqa: S101 -- said to the type checker
        met = bool(verdict.met)
        self._bracket.learn(seat.machines, met=met)
        if met and (self._best is None or self._order(seat) < self._order(self._best)):
            self._best = seat
        if not met and (
            self._nearest is None
            or (verdict.margin, -self.cost(seat)) > (self._nearest[0], -self.cost(self._nearest[1]))
        ):
            self._nearest = verdict.margin, seat

    def _order(self, seat: Seat) -> tuple[float, int, int]:
        return self.cost(seat), seat.machines, seat.choice

    def take(self, count: int) -> None:
        """So many of the same machines are enough."""
        self._best = Seat(self.seat.choice, count)

    def grow(self) -> None:
        """One in twenty more, and one at least; where there may be no more, it is not good enough."""
        seat = self.seat
        if seat.machines >= self._most:
            self._is_lost = True
            return
        self._best = Seat(seat.choice, min(self._most, seat.machines + max(1, seat.machines // 20)))


def _below(cost: float, price: float) -> int:
    """The most machines of this price that cost less."""
    count = int(cost / price)
    while count > 0 and count * price >= cost:
        count -= 1
    return count
