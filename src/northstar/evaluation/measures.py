"""From what happened to figures: pure, one definition each, as `targets` words them.

Every share of nothing is refused (NothingToMeasure) rather than called 0 or 1.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from northstar.evaluation.errors import NothingToMeasure

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence


class Fetched(NamedTuple):
    """A file that a machine fetched, in the order in which fetches ended."""

    name: str
    size_bytes: int


class Redundant(NamedTuple):
    """What a fleet fetched that it had fetched before, beside the whole."""

    fetches: int
    fetched_bytes: int
    redundant: int
    redundant_bytes: int


class Ended(NamedTuple):
    """How an accepted job ended: `failed_itself` where its work fails however often it is tried."""

    succeeded: bool
    cancelled: bool = False
    failed_itself: bool = False


class Ran(NamedTuple):
    """Where a job ran, where the matrix would have it by its true duration, and where by one within the tolerance."""

    pool: str
    optimal: str
    tolerated: frozenset[str] = frozenset()


def share_of(count: float, whole: float, what: str) -> float:
    """A part of a whole. Raises NothingToMeasure."""
    if whole <= 0:
        raise NothingToMeasure(what)
    return count / whole


def share_below(values: Collection[float], limit: float) -> float:
    """How many are less than the limit; a job that never began waits for ever (infinity), and counts.

    >>> share_below([1.0, 9.99, 10.0, math.inf], 10.0)
    0.5
    """
    return share_of(sum(value < limit for value in values), len(values), "no job")


def percentile(values: Collection[float], share: float) -> float:
    """The smallest value that so large a share does not exceed (nearest rank).

    >>> percentile([4.0, 1.0, 3.0, 2.0], 0.5), percentile([4.0, 1.0, 3.0, 2.0], 0.95)
    (2.0, 4.0)
    """
    if not values:
        raise NothingToMeasure("no value")
    # Rounded first, since .95 * 20 is a little more than 19.
    rank = max(1, math.ceil(round(share * len(values), 9)))
    return sorted(values)[rank - 1]


def redundant(fetches: Iterable[Fetched], *, known: Collection[str] = ()) -> Redundant:
    """Count fetches of files that the fleet had fetched before, or that were `known` before the window began."""
    seen = set(known)
    count = fetched = again = again_bytes = 0
    for one in fetches:
        count, fetched = count + 1, fetched + one.size_bytes
        if one.name in seen:
            again, again_bytes = again + 1, again_bytes + one.size_bytes
        seen.add(one.name)
    return Redundant(count, fetched, again, again_bytes)


def cut(value: float, baseline: float, what: str) -> float:
    """By what share a value is smaller than its baseline; negative where it is larger.

    >>> cut(5.0, 100.0, "bytes"), cut(150.0, 100.0, "bytes")
    (0.95, -0.5)
    """
    return 1 - share_of(value, baseline, f"the baseline has no {what}")


def added(value: float, baseline: float, what: str) -> float:
    """By what share a value is larger than its baseline.

    >>> round(added(104.5, 100.0, "bytes"), 3)
    0.045
    """
    return -cut(value, baseline, what)


def replicas(held: Mapping[str, Mapping[str, int]]) -> float:
    """Copies of each stored byte: machine -> model -> bytes."""
    sizes: dict[str, int] = {}
    stored = 0
    for models in held.values():
        for name, size_bytes in models.items():
            sizes[name] = max(size_bytes, sizes.get(name, 0))
            stored += size_bytes
    return share_of(stored, sum(sizes.values()), "no machine holds a model")


def demand_held(demand: Mapping[str, float], held: Collection[str]) -> float:
    """The share of requests (model -> requests of the next 24 h) whose model some machine holds."""
    return share_of(sum(count for name, count in demand.items() if name in held), sum(demand.values()), "no demand")


def utilisation(busy_s: Mapping[str, float], paid_s: Mapping[str, float]) -> tuple[float, float]:
    """Busy seconds of paid seconds by pool: over all, and of the pool that has least. A pool without a paid second has none."""
    paid = {pool: seconds for pool, seconds in paid_s.items() if seconds > 0}
    whole = share_of(sum(busy_s.get(pool, 0.0) for pool in paid), sum(paid.values()), "no machine was paid for")
    return whole, min(busy_s.get(pool, 0.0) / seconds for pool, seconds in paid.items())


def optimal_pool(jobs: Sequence[Ran]) -> tuple[float, float]:
    """Jobs that ran where the matrix would have them: strictly, and within the tolerance."""
    strict = sum(job.pool == job.optimal for job in jobs)
    tolerant = sum(job.pool == job.optimal or job.pool in job.tolerated for job in jobs)
    return share_of(strict, len(jobs), "no job ran"), share_of(tolerant, len(jobs), "no job ran")


def completion(jobs: Iterable[Ended]) -> float:
    """Succeeded of all that were not cancelled and whose work does not itself fail."""
    judged = [job for job in jobs if not job.cancelled and not job.failed_itself]
    return share_of(sum(job.succeeded for job in judged), len(judged), "no job that should succeed")


def prewarmed_used(orders: Iterable[tuple[bool, bool]]) -> float:
    """Pre-warmed models that were used before they went, of (was there already, was used): what was there already is not counted."""
    judged = [used for was_there, used in orders if not was_there]
    return share_of(sum(judged), len(judged), "nothing was pre-warmed")


def uptime(seconds: Iterable[bool]) -> float:
    """Seconds in which a submit was accepted and begun within a second, of all seconds."""
    told = list(seconds)
    return share_of(sum(told), len(told), "no second was watched")
