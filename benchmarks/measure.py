"""Figures one can trust on a shared machine: medians with their spread, rounds interleaved, noise seen and named.

The machine has other users. `ProcessorWatch` tells how much processor time went to programs outside the measurement
while it ran; a sample with more of that than `QUIET_CORES` is noisy, is taken again a bounded number of times, and is
marked when it stays noisy. Nothing is left out silently.
"""

from __future__ import annotations

import math
import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

#: Cores' worth of foreign work under which a sample counts as quiet; our own kernel threads show up as foreign.
QUIET_CORES = 0.15
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
#: Seconds of foreign work that rounding to ticks may feign, however short the watch: one tick a core and two of ours.
_ROUNDING_S = ((os.cpu_count() or 1) + 2) / _TICKS_PER_S
_USER, _NICE, _SYSTEM, _STEAL = 0, 1, 2, 7

T = TypeVar("T")


class Spread(msgspec.Struct, frozen=True):
    """The median of some samples, the smallest and the largest. A spread of one sample says nothing of its noise."""

    median: float
    low: float
    high: float
    samples: int


def spread(values: Iterable[float]) -> Spread:
    """Summarise at least one value.

    >>> spread([3.0, 1.0, 2.0])
    Spread(median=2.0, low=1.0, high=3.0, samples=3)
    """
    known = sorted(values)
    if not known:
        raise ValueError("no samples to summarise; measure at least once")
    return Spread(statistics.median(known), known[0], known[-1], len(known))


def percentile(values: Iterable[float], percent: float) -> float:
    """The smallest value that at least `percent` per cent of all values do not exceed (nearest rank).

    >>> percentile(range(1, 101), 99)
    99
    """
    known = sorted(values)
    if not known:
        raise ValueError("no samples to rank; measure at least once")
    return known[max(0, math.ceil(len(known) * percent / 100) - 1)]


def interleaved(items: Sequence[T], rounds: int) -> Iterator[tuple[int, T]]:
    """Every item once a round, each round starting one further, so that no item always runs in the same place."""
    for number in range(rounds):
        for place in range(len(items)):
            yield number, items[(number + place) % len(items)]


class Watched(msgspec.Struct, frozen=True):
    """Where processor time went between the start of a watch and now."""

    elapsed_s: float
    #: Cores' worth of time taken by processes that were not ours, or by the machine's host.
    others_cores: float
    #: Processor seconds of each watched process group.
    own_s: dict[int, float]


class ProcessorWatch:
    """Counts processor time from its birth on: ours (this process and process `groups`) and everybody else's.

    Only processes alive at both ends are counted as ours, so measure while they live. Foreign work is
    known to a few ticks (10 ms each), which are taken off: less of it goes unseen.
    """

    def __init__(self, groups: Iterable[int] = ()) -> None:
        self._groups = frozenset(groups)
        self._since = time.monotonic()
        self._busy_s = _machine_busy_s()
        self._own_s = _groups_busy_s(self._groups)
        self._self_s = time.process_time()

    def read(self) -> Watched:
        """What happened since the watch was made."""
        elapsed_s = max(time.monotonic() - self._since, 1 / _TICKS_PER_S)
        now_s = _groups_busy_s(self._groups)
        own_s = {group: now_s[group] - self._own_s[group] for group in self._groups}
        self_s = time.process_time() - self._self_s
        others_s = _machine_busy_s() - self._busy_s - self_s - sum(own_s.values())
        return Watched(elapsed_s, max(0.0, others_s - _ROUNDING_S) / elapsed_s, own_s)


class Sample(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """A measured value, and how much others disturbed it."""

    value: T
    others_cores: float
    attempts: int = 1

    @property
    def quiet(self) -> bool:
        return self.others_cores <= QUIET_CORES


def quieter(first: Sample[T], second: Sample[T]) -> Sample[T]:
    """The less disturbed of two samples of the same thing, knowing of both attempts."""
    better = first if first.others_cores <= second.others_cores else second
    return Sample(value=better.value, others_cores=better.others_cores, attempts=first.attempts + second.attempts)


def quietest(take: Callable[[], Sample[T]], *, attempts: int) -> Sample[T]:
    """Take a sample, again while it is noisy, at most `attempts` times; give the quietest, noisy or not."""
    best = take()
    for _ in range(attempts - 1):
        if best.quiet:
            break
        best = quieter(best, take())
    return best


def _machine_busy_s() -> float:
    """Processor seconds that all programs of this machine used since it started, plus what its host kept from it."""
    ticks = [int(field) for field in Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:]]
    return (ticks[_USER] + ticks[_NICE] + ticks[_SYSTEM] + ticks[_STEAL]) / _TICKS_PER_S


def _groups_busy_s(groups: frozenset[int]) -> dict[int, float]:
    """Processor seconds of the living processes of each process group, with their ended children."""
    busy = dict.fromkeys(groups, 0.0)
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
        if (group := int(fields[2])) in busy:
            busy[group] += sum(int(field) for field in fields[11:15]) / _TICKS_PER_S
    return busy
