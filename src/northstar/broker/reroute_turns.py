"""Whose turn it is when waiting jobs are looked at again, so that a bounded look at a time reaches every one of them."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, NamedTuple, Self

from northstar.store.lane_waits import read_jobs_after

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from types import TracebackType

    from northstar.store.cell import Cell
    from northstar.store.keys import CellKeys
    from northstar.store.valkey import ValkeyClient


class ProcessorTime:
    """Seconds that may be spent: what happens inside `with` counts."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._left_s = seconds
        self._clock = clock
        self._began_s = 0.0

    def __enter__(self) -> Self:
        self._began_s = self._clock()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._left_s -= self._clock() - self._began_s

    @property
    def is_spent(self) -> bool:
        """Whether nothing is left."""
        return self._left_s <= 0


class JobsTurn:
    """The jobs of a lane whose turn it is. Unless told where the look ended, the next turn goes on after the last of them."""

    def __init__(self, turns: Turns, lane: str, places: list[tuple[str, bytes]]) -> None:
        self._turns = turns
        self._lane = lane
        self._places = dict(places)
        #: In the order in which they will be taken.
        self.ids = [job for job, _ in places]

    def ends_at(self, job: str) -> None:
        """The look ended after this job; one that is not of this turn changes nothing."""
        if job in self._places:
            self._turns.goes_on_after(self._lane, self._places[job])


class _Pausing(NamedTuple):
    """Where among jobs that pause the next turn begins: the place after which a page is read, and the job of it that was the last to be looked at."""

    after: str = ""
    seen: str = ""


class Turns:
    """Of one cell: round about over its lanes, and in each lane round about over its jobs."""

    def __init__(self, client: ValkeyClient, keys: CellKeys) -> None:
        self._client = client
        self._keys = keys
        self._last_lane = ""
        #: Lane -> the place in it after which the next turn begins; none: at its beginning.
        self._places: dict[str, bytes] = {}
        self._pausing = self._pausing_now = _Pausing()

    def lanes(self, waiting: Collection[str], *, count: int) -> list[str]:
        """At most so many lanes, those after the one that was looked at last. What is remembered of lanes that have gone is forgotten."""
        self._places = {lane: place for lane, place in self._places.items() if lane in waiting}
        later = heapq.nsmallest(count, (lane for lane in waiting if lane > self._last_lane))
        if len(later) == count:
            return later
        return [*later, *heapq.nsmallest(count - len(later), (lane for lane in waiting if lane <= self._last_lane))]

    def looked_at(self, lane: str) -> None:
        """This lane has had its turn."""
        self._last_lane = lane

    async def jobs(self, lane: str, *, count: int) -> JobsTurn:
        """The next jobs of a lane; after its last ones the first again. Raises Unavailable."""
        found = await read_jobs_after(self._client, self._keys, lane, self._places.get(lane, b""), count=count)
        if len(found) < count:
            self._places.pop(lane, None)
        else:
            self._places[lane] = found[-1][1]
        return JobsTurn(self, lane, found)

    async def pausing(self, cell: Cell, *, count: int) -> list[str]:
        """The next jobs of the cell, of at most so many, that pause after a failed attempt; after the last ones the first again. Raises Unavailable."""
        found = await cell.list_jobs("delayed", after=self._pausing.after, count=count)
        ids = found.jobs
        if self._pausing.seen in ids:
            ids = ids[ids.index(self._pausing.seen) + 1 :]
        self._pausing, self._pausing_now = _Pausing(found.after), self._pausing
        return ids

    def pausing_ends_at(self, job: str) -> None:
        """The look ended after this one of them: the next turn begins there, and looks at those of the same page that are left."""
        self._pausing = _Pausing(self._pausing_now.after, job)

    def goes_on_after(self, lane: str, place: bytes) -> None:
        """The next turn of the lane begins after this place."""
        self._places[lane] = place
