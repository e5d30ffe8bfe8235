"""What caching alone could save at best, if it knew the future: for machines that were given their jobs, and for one shared cache.

Requests ask for sets of files that must all be in the cache while they are served, so nothing passes it by. Two numbers frame the optimum,
which is NP-hard to find where files differ in size (Chrobak, Woeginger, Makino, Xu, "Caching is hard, even in the fault model", Algorithmica
63, 2012). *Reached*: greedy farthest next use (Belady 1966), exact where all files are of one size. *Least*: PFOO-L (Berger, Beckmann,
Harchol-Balter, "Practical bounds on optimal caching with variable object sizes", SIGMETRICS 2018): keeping a file from one use to the next
takes its size times the requests between; the cache has its size times all requests, given to the shortest keeps first, the last in part.
No cache of this size fetches less.
"""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import msgspec

from northstar.domain.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

#: What one request needs: (name, bytes). A name has one size in all requests.
Files: TypeAlias = "tuple[tuple[str, int], ...]"


class CacheTooSmall(InvalidRequest):
    """A request needs more at once than the cache holds, so no policy can serve it."""

    code: ClassVar[str] = "NS_CACHE_TOO_SMALL"

    def __init__(self, *, place: int, need_bytes: int, capacity_bytes: int, cache: str = "") -> None:
        whose = f" of {cache}" if cache else ""
        super().__init__(
            f"request {place + 1}{whose} needs {need_bytes} bytes at once and the cache holds {capacity_bytes}: "
            "give it a larger disk, or leave the request out"
        )
        self.place, self.need_bytes, self.capacity_bytes = place, need_bytes, capacity_bytes


class SizesDiffer(InvalidRequest):
    """A file has two sizes."""

    code: ClassVar[str] = "NS_FILE_SIZES_DIFFER"

    def __init__(self, name: str, sizes: tuple[int, int]) -> None:
        super().__init__(
            f"file {name} has {sizes[0]} bytes in one request and {sizes[1]} in another: name each file's one size"
        )
        self.name, self.sizes = name, sizes


class Assigned(msgspec.Struct, frozen=True):
    """A request and the machine that served it."""

    machine: str
    files: Files


class Optimum(msgspec.Struct, frozen=True, kw_only=True):
    """The frame of the offline optimum, bytes. `first_bytes` are those of each file's first fetch anywhere, which nobody can save."""

    requested_bytes: int
    first_bytes: int
    reached_bytes: int
    reached_fetches: int
    least_bytes: int

    @property
    def redundant_reached_bytes(self) -> int:
        """Fetched although it had been fetched before, by the greedy rule: the optimum is at most this."""
        return self.reached_bytes - self.first_bytes

    @property
    def redundant_least_bytes(self) -> int:
        """The same by the bound: the optimum is at least this."""
        return max(0, self.least_bytes - self.first_bytes)


def shared_optimum(requests: Sequence[Files], *, capacity_bytes: int) -> Optimum:
    """One cache that all machines share, as large as all their disks: no placement of models can fetch less than `least_bytes`.

    Raises:
        CacheTooSmall, SizesDiffer.
    """
    return _together({"": list(requests)}, {"": capacity_bytes})


def assigned_optimum(requests: Iterable[Assigned], *, capacities: Mapping[str, int]) -> Optimum:
    """Each machine with the requests that it was given, in their order, and a disk of its own: what is left to eviction alone.

    Raises:
        CacheTooSmall, SizesDiffer; KeyError: a machine has no capacity.
    """
    by_machine: dict[str, list[Files]] = {}
    for one in requests:
        by_machine.setdefault(one.machine, []).append(one.files)
    return _together(by_machine, capacities)


def _together(by_cache: Mapping[str, Sequence[Files]], capacities: Mapping[str, int]) -> Optimum:
    sizes = _sizes(files for requests in by_cache.values() for files in requests)
    reached = fetches = least = requested = 0
    for name, requests in by_cache.items():
        found = farthest_use(requests, capacity_bytes=capacities[name], cache=name)
        reached, fetches = reached + found[0], fetches + found[1]
        least += least_fetched(requests, capacity_bytes=capacities[name])
        requested += sum(sizes[file] for files in requests for file in dict(files))
    return Optimum(
        requested_bytes=requested,
        first_bytes=sum(sizes.values()),
        reached_bytes=reached,
        reached_fetches=fetches,
        least_bytes=least,
    )


def farthest_use(requests: Sequence[Files], *, capacity_bytes: int, cache: str = "") -> tuple[int, int]:
    """Bytes and number of fetches of a cache that starts empty and evicts what is used again last; of equal ones the larger.

    Raises CacheTooSmall.
    """
    coming = _next_uses(requests)
    held: dict[str, int] = {}
    next_use: dict[str, float] = {}
    #: What may be stale: an entry counts only while it says what `next_use` does.
    farthest: list[tuple[float, int, str]] = []
    room, fetched, fetches = capacity_bytes, 0, 0
    for place, files in enumerate(requests):
        wanted = dict(files)
        if (need := sum(wanted.values())) > capacity_bytes:
            raise CacheTooSmall(place=place, need_bytes=need, capacity_bytes=capacity_bytes, cache=cache)
        missing = {name: size for name, size in wanted.items() if name not in held}
        # What is wanted now has its next use here, so it is the last to be looked at: nothing of it goes.
        while room < sum(missing.values()):
            at, _, name = heapq.heappop(farthest)
            if name in held and name not in wanted and next_use[name] == -at:
                room += held.pop(name)
        for name, size in missing.items():
            held[name] = size
            room -= size
            fetched, fetches = fetched + size, fetches + 1
        for name, size in wanted.items():
            next_use[name] = coming[place][name]
            heapq.heappush(farthest, (-next_use[name], -size, name))
    return fetched, fetches


def least_fetched(requests: Sequence[Files], *, capacity_bytes: int) -> int:
    """Bytes below which no cache of this size that starts empty can stay, whatever it knows (PFOO-L)."""
    last: dict[str, int] = {}
    keeps: list[tuple[int, int]] = []
    requested = 0
    for place, files in enumerate(requests):
        for name, size in dict(files).items():
            requested += size
            if name in last:
                keeps.append((place - last[name], size))
            last[name] = place
    left = capacity_bytes * max(0, len(requests) - 1)
    saved = 0
    for length, size in sorted(keeps):
        if length * size > left:
            # The whole of what a part of this keep could save, rounded up, so that the bound stays one.
            saved += math.ceil(left / length)
            break
        left -= length * size
        saved += size
    return requested - saved


def _next_uses(requests: Sequence[Files]) -> list[dict[str, float]]:
    """For each request when each of its files is wanted again; infinity: never."""
    later: dict[str, float] = {}
    found: list[dict[str, float]] = []
    for place in range(len(requests) - 1, -1, -1):
        names = dict(requests[place])
        found.append({name: later.get(name, math.inf) for name in names})
        later.update(dict.fromkeys(names, float(place)))
    return found[::-1]


def _sizes(requests: Iterable[Files]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for files in requests:
        for name, size in files:
            if sizes.setdefault(name, size) != size:
                raise SizesDiffer(name, (sizes[name], size))
    return sizes
