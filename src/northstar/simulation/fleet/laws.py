"""Laws of chance for lengths of time: how long a machine takes to come, and how long it stays.

All of them turn numbers from 0 to below 1 into a length by the inverse of their distribution, so the same seed gives the same lengths
everywhere.
"""

from __future__ import annotations

import bisect
import math
from itertools import pairwise
from typing import Annotated, TypeAlias

import msgspec

from northstar.simulation.fleet import salad_week
from northstar.simulation.fleet.lengths import Length
from northstar.simulation.workload.draws import Draws


def exponential_ms(share: float, *, mean_ms: float) -> int:
    """The length below which this share of all lie that are exponential.

    >>> exponential_ms(0.0, mean_ms=1_000), exponential_ms(0.5, mean_ms=1_000)
    (0, 693)
    """
    return round(-math.log1p(-share) * mean_ms)


class Never(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="law", tag="never"):
    """It stays to the end."""


class Fixed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="law", tag="fixed"):
    """Always the same."""

    #: How long.
    length: Length

    def draw_ms(self, numbers: Draws) -> int:
        """How long this time."""
        numbers.share()
        return self.length.ms


class Exponential(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="law", tag="exponential"
):
    """As if a coin were thrown each second: what has lasted long is as likely to end as what has just begun."""

    #: How long on average.
    mean: Length

    def draw_ms(self, numbers: Draws) -> int:
        """How long this time."""
        return exponential_ms(numbers.share(), mean_ms=self.mean.ms)


class Quantile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A point of a measured distribution."""

    #: This share of all times is at most `length`.
    share: Annotated[float, msgspec.Meta(ge=0, le=1)]
    #: That length.
    length: Length


class Measured(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="law", tag="measured"):
    """A distribution by points that somebody has measured, straight between them."""

    #: In order; the first has share 0, the last share 1.
    points: Annotated[tuple[Quantile, ...], msgspec.Meta(min_length=2, max_length=1_000)]

    def __post_init__(self) -> None:
        """The points must be a distribution.

        Raises:
            ValueError: they are in no order, or do not reach from 0 to 1.
        """
        shares = [point.share for point in self.points]
        lengths = [point.length.ms for point in self.points]
        if shares[0] != 0 or shares[-1] != 1:
            raise ValueError("the first point of a measured law has share 0, and the last share 1")
        if any(later <= earlier for earlier, later in pairwise(shares)) or lengths != sorted(lengths):
            raise ValueError(
                "the points of a measured law rise: each has a greater share and no smaller length than the one before"
            )

    def draw_ms(self, numbers: Draws) -> int:
        """How long this time."""
        chance = numbers.share()
        after = bisect.bisect_right(self.points, chance, key=lambda point: point.share)
        low, high = self.points[after - 1], self.points[after]
        part = (chance - low.share) / (high.share - low.share)
        return round(low.length.ms + (high.length.ms - low.length.ms) * part)


class SaladBoot(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="law", tag="salad-week"
):
    """As SALAD's published week: half of the nodes take more than 10 minutes, one of ten more than 40."""

    def draw_ms(self, numbers: Draws) -> int:
        """How long this time."""
        return salad_week.boot_ms(numbers.share())


class SaladLifetime(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="law", tag="salad-week"
):
    """As SALAD's published week: one loss for each machine in 92 h without notice, young nodes more often than old ones."""

    def draw_ms(self, numbers: Draws) -> int:
        """How long this time."""
        which = numbers.share()
        return salad_week.lifetime_ms(which, numbers.share())


class Spot(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="law", tag="spot"):
    """As a recorded series of spot availability says: while it counts a node, the machine is there."""

    #: A JSON file of such series, plain or gzipped; relative to the scenario's folder.
    file: Annotated[str, msgspec.Meta(min_length=1, max_length=4_096)]
    #: Which of them.
    series: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    #: Where in the series the simulation begins.
    skip: Length = Length(0)


BootLaw: TypeAlias = Fixed | Exponential | Measured | SaladBoot
LifetimeLaw: TypeAlias = Never | Fixed | Exponential | Measured | SaladLifetime | Spot
#: A law that gives a length whenever it is asked.
DrawnLaw: TypeAlias = Fixed | Exponential | Measured | SaladBoot | SaladLifetime
