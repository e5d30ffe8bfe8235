"""Chance from a seed and words: equal for equal seeds and words, whatever else was drawn before, on every machine and version of Python.

Only `random.Random.random` is used of the library, the one method whose sequence is promised; what follows from it is worked out here. Times and
sizes are rounded to whole milliseconds and bytes, so that the last bit of a logarithm, in which C libraries differ, does not show.
"""

from __future__ import annotations

import hashlib
import math
import random
from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_T = TypeVar("_T")
_LARGEST = 2.0**64


def share_of(seed: int, *words: str) -> float:
    """A number from 0 to below 1 that belongs to these words.

    >>> share_of(1, "size", "M0001") == share_of(1, "size", "M0001") != share_of(2, "size", "M0001")
    True
    """
    return int.from_bytes(_digest(seed, words)[:8], "big") / _LARGEST


class Draws:
    """A stream of chance."""

    def __init__(self, seed: int, *words: str) -> None:
        """`words` name the stream: those of other names do not depend on how much is drawn from this one."""
        self.share = random.Random(int.from_bytes(_digest(seed, words), "big")).random

    def below(self, count: int) -> int:
        """A whole number from 0 to below `count`."""
        return int(self.share() * count)

    def normal(self) -> float:
        """Of mean 0 and deviation 1 (Box and Muller, 1958)."""
        return math.sqrt(-2.0 * math.log(1.0 - self.share())) * math.cos(2.0 * math.pi * self.share())

    def log_normal(self, median: float, deviation: float) -> float:
        """Half are below `median`; `deviation` is that of the natural logarithm."""
        return median * math.exp(deviation * self.normal())

    def geometric(self, mean: float) -> int:
        """How many, 1 or more, where each is followed by one more with the same chance."""
        if mean <= 1.0:
            return 1
        return 1 + int(math.log(1.0 - self.share()) / math.log(1.0 - 1.0 / mean))


class Choice(Generic[_T]):
    """Things with weights, drawn by them.

    >>> Choice([("a", 1), ("b", 3)]).at(0.3)
    'b'
    """

    def __init__(self, weighted: Iterable[tuple[_T, float]]) -> None:
        """Raises ValueError: there is nothing, or a weight is below 0, or all are 0."""
        pairs = list(weighted)
        if any(weight < 0 for _, weight in pairs) or not sum(weight for _, weight in pairs) > 0:
            raise ValueError("a choice needs weights of 0 and more, not all 0")
        self.things: Sequence[_T] = [thing for thing, _ in pairs]
        self._ends = list(accumulate(weight for _, weight in pairs))

    def at(self, share: float) -> _T:
        """The thing at this share of all weight, 0 to below 1."""
        return self.things[min(bisect_right(self._ends, share * self._ends[-1]), len(self.things) - 1)]


def _digest(seed: int, words: Sequence[str]) -> bytes:
    return hashlib.blake2b("\0".join((str(seed), *words)).encode(), digest_size=16).digest()
