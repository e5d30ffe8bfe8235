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


def shared(works: Iterable[Work]) -> Iterator[tuple[Work, float]]:
    """Each work of one machine with its share of the machine's time, ms; `works` come by their beginning.

    While several run, each gets an equal part of the time, so the shares add up to the time in which anything ran. Kept in
    memory is only what runs at one moment: a share is how far a common clock went on, which runs slower the more there are.

    >>> two = [Work(name="a", since_ms=0, until_ms=10), Work(name="b", since_ms=4, until_ms=8)]
    >>> [(work.name, share) for work, share in shared(two)]
    [('b', 2.0), ('a', 8.0)]
    """
    at_work: list[tuple[int, int, float, Work]] = []
    clock, now = 0.0, 0

    def go_on(until_ms: int) -> None:
        nonlocal clock, now
        if at_work:
            clock += (until_ms - now) / len(at_work)
        now = until_ms

    for number, work in enumerate(works):
        while at_work and at_work[0][0] <= work.since_ms:
            go_on(at_work[0][0])
            _, _, begun, ended = heapq.heappop(at_work)
            yield ended, clock - begun
        go_on(work.since_ms)
        heapq.heappush(at_work, (max(work.since_ms, work.until_ms), number, clock, work))
    while at_work:
        go_on(at_work[0][0])
        _, _, begun, ended = heapq.heappop(at_work)
        yield ended, clock - begun
