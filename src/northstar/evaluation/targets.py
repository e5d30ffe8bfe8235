"""What was promised and what we set ourselves, as data: every row of the targets, with the figures by which each is judged.

A *row* is one sentence of the specification ("Enhanced Success Metrics") with one definition under which it can be measured. It has one *figure* or more,
each a number with a goal. What is known of baselines stands in words, since it was measured in other ways than by this program; what it measures
of baselines itself is in the scorecard.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

Section: TypeAlias = Literal["service", "scale", "models and cost", "prediction"]
#: share: of 1, shown in per cent · s, ms: times · x: a ratio · n: a number of things · /s: things in a second.
Unit: TypeAlias = Literal["share", "s", "ms", "x", "n", "/s"]


class Goal(msgspec.Struct, frozen=True, kw_only=True):
    """Where a figure should be: at least, at most, or between. `is_strict`: the border itself is not enough."""

    least: float | None = None
    most: float | None = None
    is_strict: bool = False

    def is_met(self, value: float) -> bool:
        """Whether the value is where it should be.

        >>> Goal(least=0.95).is_met(0.95), Goal(most=3.0, is_strict=True).is_met(3.0), Goal(least=0.75, most=0.85).is_met(0.9)
        (True, False, False)
        """
        if self.is_strict and value in {self.least, self.most}:
            return False
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    def is_better(self, value: float, other: float) -> bool:
        """Whether one value is nearer to the goal than another, or farther on the good side of it.

        >>> Goal(least=0.95).is_better(0.97, 0.96), Goal(most=3.0).is_better(4.0, 2.0), Goal(least=0.75, most=0.85).is_better(0.8, 0.76)
        (True, False, False)
        """
        if self.least is not None and self.most is not None:
            return self._outside(value) < self._outside(other)
        return value > other if self.most is None else value < other

    def _outside(self, value: float) -> float:
        least, most = self.least or 0.0, self.most or 0.0
        return max(least - value, value - most, 0.0)


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A number by which a row is judged."""

    id: str
    what: str
    unit: Unit
    goal: Goal
    #: What the specification itself asks of this number, where it names one.
    spec: Goal | None = None
    #: The smallest and the largest value that it can have at all; None: there is none.
    possible: tuple[float | None, float | None] = (0.0, None)

    def can_be(self, value: float) -> bool:
        """Whether anything could be measured so.

        >>> share("a", "b", at_least(0.9)).can_be(1.2), relative("a", "b", at_least(0.5)).can_be(-0.2)
        (False, True)
        """
        least, most = self.possible
        return (least is None or value >= least) and (most is None or value <= most)


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A row."""

    id: str
    section: Section
    #: As the specification says it.
    spec: str
    definition: str
    #: What others reach, or what was reached before: in words; empty where nothing is known.
    known: str
    figures: tuple[Figure, ...]
    #: What has to be said beside it.
    note: str = ""


def at_least(value: float) -> Goal:
    """A goal from below."""
    return Goal(least=value)


def at_most(value: float) -> Goal:
    """A goal from above."""
    return Goal(most=value)


def below(value: float) -> Goal:
    """A goal from above that its border does not meet."""
    return Goal(most=value, is_strict=True)


def share(name: str, what: str, goal: Goal, spec: Goal | None = None) -> Figure:
    """A figure that is a share of something."""
    return Figure(id=name, what=what, unit="share", goal=goal, spec=spec, possible=(0.0, 1.0))


def relative(name: str, what: str, goal: Goal, spec: Goal | None = None) -> Figure:
    """A figure that is 1 less a ratio: negative where things got worse, and never more than 1."""
    return Figure(id=name, what=what, unit="share", goal=goal, spec=spec, possible=(None, 1.0))


def number(name: str, what: str, unit: Unit, goal: Goal, spec: Goal | None = None) -> Figure:
    """A figure of any other unit."""
    return Figure(id=name, what=what, unit=unit, goal=goal, spec=spec)


#: The rules of measurement that hold for all rows.
RULES: Final = (
    "Strictly causal: nothing is known before it has finished.",
    "Forecasts are made from rolling origins; a day begins at 12:00 of the trace's time, its dead hour.",
    "Every policy gets the same seeded workload.",
    "The median over seeds is judged, and its spread is shown.",
    "A figure whose settings were tuned on the window that it is measured on is marked.",
)
