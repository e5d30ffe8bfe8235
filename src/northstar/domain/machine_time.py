"""Whom the time of machines was spent on: jobs that ran side by side share their machine's time, and the rest of it was idle."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """One run on one machine, from `since_ms` to `until_ms`. `price_usd_per_hour` of the machine; None is "not known"."""

    name: str
    since_ms: int
    until_ms: int
    price_usd_per_hour: float | None = None


class Bill(msgspec.Struct, kw_only=True):
    """Machine time under one name. `usd` is of the hours whose price is known; `unpriced_h` are the others, which are not free."""

    runs: int = 0
    hours: float = 0.0
    usd: float = 0.0
    unpriced_h: float = 0.0

    def add(self, spent_ms: float, *, price_usd_per_hour: float | None, runs: int = 1) -> None:
        """So much more time at this price."""
        hours = spent_ms / 3_600_000
        self.runs += runs
        self.hours += hours
        if price_usd_per_hour is None:
            self.unpriced_h += hours
        else:
            self.usd += hours * price_usd_per_hour


class SharedTime:
    """Shares out the time of one machine among its works, which come by their beginning; those that run at one moment share equally.

    Kept in memory is only what runs at one moment: a share is how far a common clock went on, which runs slower the more there are.
    """

    def __init__(self) -> None:
        self._at_work: list[tuple[int, int, float, Work]] = []
        self._clock, self._now, self._number = 0.0, 0, 0

    def begin(self, work: Work) -> Iterator[tuple[Work, float]]:
        """A work begins; gives those that have ended by then, each with its share in ms."""
        yield from self._ended(until_ms=work.since_ms)
        self._go_on(work.since_ms)
        self._number += 1
        heapq.heappush(self._at_work, (max(work.since_ms, work.until_ms), self._number, self._clock, work))

    def end(self) -> Iterator[tuple[Work, float]]:
        """No other work comes; gives those that were left."""
        yield from self._ended(until_ms=None)

    def _ended(self, *, until_ms: int | None) -> Iterator[tuple[Work, float]]:
        while self._at_work and (until_ms is None or self._at_work[0][0] <= until_ms):
            self._go_on(self._at_work[0][0])
            _, _, begun, work = heapq.heappop(self._at_work)
            yield work, self._clock - begun

    def _go_on(self, until_ms: int) -> None:
        if self._at_work:
            self._clock += (until_ms - self._now) / len(self._at_work)
        self._now = until_ms


def shared(works: Iterable[Work]) -> Iterator[tuple[Work, float]]:
    """Each work of one machine with its share of the machine's time, ms; the shares add up to the time in which anything ran.

    >>> two = [Work(name="a", since_ms=0, until_ms=10), Work(name="b", since_ms=4, until_ms=8)]
    >>> [(work.name, share) for work, share in shared(two)]
    [('b', 2.0), ('a', 8.0)]
    """
    time = SharedTime()
    for work in works:
        yield from time.begin(work)
    yield from time.end()
