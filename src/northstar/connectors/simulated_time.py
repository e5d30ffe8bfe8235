"""How long a simulated job runs, and how long a simulated model loads: three distributions, each bounded."""

from __future__ import annotations

import math
import random
from typing import TypeAlias

import msgspec


class FixedTime(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="fixed", forbid_unknown_fields=True):
    """Always the same."""

    #: Seconds.
    seconds: float

    def drawn(self, _rng: random.Random, *, steps: int) -> float:  # noqa: ARG002 - the three are interchangeable
        """Seconds for `steps` steps."""
        return self.seconds


class LognormalTime(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="lognormal", forbid_unknown_fields=True
):
    """Mostly near the median, sometimes much longer: the shape that durations of real engines have."""

    #: Seconds that half of the jobs stay below.
    median_s: float
    #: Spread: the standard deviation of the logarithm; 0.5 puts one in forty above 2.7 times the median.
    sigma: float = 0.5
    #: No job takes longer than so many seconds.
    longest_s: float = 3_600.0

    def drawn(self, rng: random.Random, *, steps: int) -> float:  # noqa: ARG002 - as above
        """Seconds for `steps` steps."""
        return min(self.longest_s, rng.lognormvariate(math.log(self.median_s), self.sigma))


class StepTime(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="steps", forbid_unknown_fields=True):
    """A part for every step and a part for the rest, as with diffusion."""

    #: Seconds for one step.
    step_s: float
    #: Seconds before the first step and after the last one together.
    base_s: float = 0.0
    #: Spread: every job is faster or slower by up to this part of its time.
    spread: float = 0.0

    def drawn(self, rng: random.Random, *, steps: int) -> float:
        """Seconds for `steps` steps."""
        return (self.base_s + self.step_s * steps) * (1.0 + self.spread * rng.uniform(-1.0, 1.0))


TimeRule: TypeAlias = FixedTime | LognormalTime | StepTime


def check_time(rule: TimeRule) -> None:
    """Whether a rule makes sense.

    Raises:
        ValueError: a time below 0 or over a week, or a spread that could make one.
    """
    match rule:
        case FixedTime():
            valid = 0 <= rule.seconds <= _WEEK_S
        case LognormalTime():
            valid = 0 < rule.median_s <= rule.longest_s <= _WEEK_S and 0 <= rule.sigma <= 5
        case StepTime():
            valid = 0 <= rule.step_s <= 3_600 and 0 <= rule.base_s <= _WEEK_S and 0 <= rule.spread <= 1
    if not valid:
        raise ValueError(f"times of a simulated service must be between 0 and a week, and spreads sensible, not {rule}")


_WEEK_S = 7 * 86_400
