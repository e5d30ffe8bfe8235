"""How good forecasts were: pure, one definition each."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from northstar.evaluation.errors import NothingToMeasure
from northstar.evaluation.measures import share_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

#: What was foreseen, and what came.
Pair: TypeAlias = "tuple[float, float]"


def wape(pairs: Iterable[Pair]) -> float:
    """Weighted absolute percentage error: all that was missed, over all that came.

    >>> wape([(8, 10), (5, 0), (10, 10)])
    0.35
    """
    told = list(pairs)
    return share_of(sum(abs(seen - came) for seen, came in told), sum(came for _, came in told), "nothing came")


def mix_accuracy(foreseen: Mapping[str, float], came: Mapping[str, float]) -> float:
    """1 - total variation of the two mixes, each scaled to 1.

    >>> mix_accuracy({"a": 3, "b": 1}, {"a": 5, "c": 5})
    0.5
    """
    seen_whole, came_whole = sum(foreseen.values()), sum(came.values())
    if seen_whole <= 0 or came_whole <= 0:
        raise NothingToMeasure("a mix of nothing")
    names = {*foreseen, *came}
    return 1 - sum(abs(foreseen.get(name, 0.0) / seen_whole - came.get(name, 0.0) / came_whole) for name in names) / 2


def top_share(foreseen: Mapping[str, float], came: Mapping[str, float], count: int) -> float:
    """Requests whose model is among the `count` that were foreseen most; of equals the first by name.

    >>> top_share({"a": 3, "b": 2, "c": 1}, {"a": 6, "c": 4}, 2)
    0.6
    """
    top = sorted(foreseen, key=lambda name: (-foreseen[name], name))[:count]
    return share_of(sum(came.get(name, 0.0) for name in top), sum(came.values()), "nothing came")


def set_f1(foreseen: Collection[str], came: Collection[str]) -> float:
    """Harmonic mean of precision and recall of a set.

    >>> round(set_f1({"a", "b", "c"}, {"a", "b", "d", "e"}), 4)
    0.5714
    """
    return 2 * share_of(len(set(foreseen) & set(came)), len(set(foreseen)) + len(set(came)), "two empty sets")


def coverage(intervals: Iterable[tuple[float, float, float]]) -> float:
    """How often what came lies within its interval: (low, high, came), borders included."""
    told = [low <= came <= high for low, high, came in intervals]
    return share_of(sum(told), len(told), "no interval")


def within(pairs: Iterable[Pair], tolerance: float) -> float:
    """Estimates that are off by no more than so large a share of what came.

    >>> within([(75, 100), (74, 100), (125, 100)], 0.25)
    0.6666666666666666
    """
    told = [abs(seen - came) <= tolerance * came for seen, came in pairs]
    return share_of(sum(told), len(told), "no estimate")


def top_hits(cases: Iterable[tuple[Sequence[str], str]], count: int) -> float:
    """Cases (models foreseen, the likeliest first; the model that came) in which it is among the first `count`."""
    told = [came in foreseen[:count] for foreseen, came in cases]
    return share_of(sum(told), len(told), "no case")


def switch_hits(cases: Iterable[tuple[str, Sequence[str], str]], count: int) -> float:
    """The same where another model than the current one came: (current, foreseen, came); the current one takes no place."""
    return top_hits(
        (
            ([name for name in foreseen if name != current], came)
            for current, foreseen, came in cases
            if came != current
        ),
        count,
    )
