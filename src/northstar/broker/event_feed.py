"""One reader of a cell's events for a whole process, and as many listeners as may be: none of them costs the cell anything.

It begins with the first listener and ends soon after the last, so a broker to whom nobody listens does nothing for it. It keeps the latest
events, so that whoever has read what is older elsewhere goes on here without a gap.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING, Final

import msgspec

from northstar.broker.event_errors import FeedEnded, ReaderTooSlow
from northstar.broker.event_log import BEGINNING, PAGE
from northstar.domain.errors import NorthstarError, Unavailable
from northstar.domain.events import Event, EventId
from northstar.domain.told_events import is_of_job
from northstar.store.history.continuity import Gap
from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from northstar.broker.event_log import EventLog
    from northstar.broker.event_tenants import EventTenants

log = logger(__name__)

#: Events that are kept for whoever comes with an id, and that wait for one listener at most.
MOST_KEPT: Final = 10_000
MOST_WAITING: Final = 1_000
_WAIT_MS: Final = 1_000
#: A few more events may gather before the next read: each read costs more than an event.
_GATHER_S: Final = 0.01
_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 5.0


class Happened(msgspec.Struct, frozen=True):
    """An event, and the tenant of its job."""

    event: Event
    tenant: str


Item = Happened | Gap


class Listening:
    """What one listener has not read yet. Whoever lets more wait than `most` is cut off."""

    def __init__(self, wanted: Callable[[Happened], bool], *, most: int = MOST_WAITING) -> None:
        self._wanted = wanted
        self._most = most
        self._waiting: deque[Item] = deque()
        self._heard = asyncio.Event()
        self._nudged = False
        self._ended: NorthstarError | None = None

    def hear(self, item: Item) -> None:
        """Something happened. Never waits."""
        if self._ended is not None or (isinstance(item, Happened) and not self._wanted(item)):
            return
        if len(self._waiting) >= self._most:
            self._waiting.clear()
            self.end(ReaderTooSlow(self._most))
            return
        self._waiting.append(item)
        self._heard.set()

    def end(self, error: NorthstarError) -> None:
        """Nothing more comes, and why."""
        self._ended = self._ended or error
        self._heard.set()

    def nudge(self) -> None:
        """Whoever waits for the next event shall look up: something else has happened."""
        self._nudged = True
        self._heard.set()

    async def next(self, *, within_s: float) -> Item | None:
        """What happened next; None if nothing did in so many seconds, or at a nudge. Raises ReaderTooSlow, FeedEnded, EventIdUnknown."""
        if not self._waiting and self._ended is None and not self._nudged:
            self._heard.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    await self._heard.wait()
        self._nudged = False
        if self._waiting:
            return self._waiting.popleft()
        if self._ended is not None:
            raise self._ended
        return None


class EventFeed:
    """The events of one cell as they happen."""

    def __init__(
        self, events: EventLog, tenants: EventTenants, *, most_kept: int = MOST_KEPT, wait_ms: int = _WAIT_MS
    ) -> None:
        self._events = events
        self._tenants = tenants
        self._wait_ms = wait_ms
        self._kept: deque[Item] = deque(maxlen=most_kept)
        #: What is kept begins after this position.
        self._kept_after = BEGINNING
        self._position = BEGINNING
        self._listeners: set[Listening] = set()
        self._of_jobs: dict[str, set[Listening]] = {}
        self._reading: asyncio.Task[None] | None = None
        self._beginning = asyncio.Lock()
        self._is_closed = False

    @property
    def position(self) -> EventId:
        """Up to where listeners have been told."""
        return self._position

    @property
    def is_reading(self) -> bool:
        """Whether anything is asked of the cell."""
        return self._reading is not None

    @contextlib.asynccontextmanager
    async def listening(
        self, wanted: Callable[[Happened], bool], *, job: str | None = None, most: int = MOST_WAITING
    ) -> AsyncIterator[Listening]:
        """Listen from now on until the block ends; to the events of one job alone where it is named. Raises FeedEnded, Unavailable."""
        await self._begin()
        one = Listening(wanted, most=most)
        with self._joined(one, job=job):
            yield one

    @contextlib.asynccontextmanager
    async def listening_after(
        self, position: EventId, wanted: Callable[[Happened], bool], *, most: int = MOST_WAITING
    ) -> AsyncIterator[Listening | None]:
        """As `listening`, beginning after `position`; None where that is older than what is kept here. Raises Unavailable."""
        await self._begin()
        if position < self._kept_after:
            yield None
            return
        one = Listening(lambda happened: happened.event.id > position and wanted(happened), most=most + len(self._kept))
        for item in self._kept:
            if isinstance(item, Happened) or item.next > position:
                one.hear(item)
        with self._joined(one, job=None):
            yield one

    async def close(self) -> None:
        """Tell everybody that nothing more comes, and listen to nobody any more."""
        self._is_closed = True
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})
        self._end(FeedEnded())  # a task that is cancelled before its first step does not even say so

    def _end(self, error: NorthstarError) -> None:
        self._reading = None
        for one in (*self._listeners, *(one for some in self._of_jobs.values() for one in some)):
            one.end(error)

    @contextlib.contextmanager
    def _joined(self, one: Listening, *, job: str | None) -> Iterator[None]:
        place = self._listeners if job is None else self._of_jobs.setdefault(job, set())
        place.add(one)
        try:
            yield
        finally:
            place.discard(one)
            if job is not None and not place:
                self._of_jobs.pop(job, None)

    async def _begin(self) -> None:
        async with self._beginning:
            if self._is_closed:
                raise FeedEnded
            if self._reading is not None:
                return
            latest = await self._events.latest()
            if self._is_closed:
                raise FeedEnded
            self._position = self._kept_after = latest
            self._kept.clear()
            self._reading = asyncio.create_task(self._read(), name="event-feed")

    async def _read(self) -> None:
        """Until nobody listens any more. A cell that does not answer is waited for."""
        error: NorthstarError = FeedEnded()
        pause_s = _PAUSE_S
        try:
            while True:
                try:
                    found = await self._step()
                except Unavailable as exc:
                    log.warning("event_feed_waits", code=exc.code, error=str(exc))
                    await asyncio.sleep(pause_s)
                    pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
                    continue
                pause_s = _PAUSE_S
                if not found and not self._listeners and not self._of_jobs:
                    return
                if found < PAGE:
                    await asyncio.sleep(_GATHER_S)
        except NorthstarError as exc:  # the cell is another one
            error = exc
        finally:
            self._end(error)

    async def _step(self) -> int:
        """Tell what happened next; gives how many events that were. Raises Unavailable, EventIdUnknown."""
        passage = await self._events.after(self._position, count=PAGE, wait_ms=self._wait_ms)
        tenants = await self._tenants.of(passage)
        # From here to the end nothing waits: whoever comes finds position and what is kept as one.
        gaps = {gap.next: gap for gap in passage.gaps}
        for event, tenant in zip(passage.events, tenants, strict=True):
            if event.id in gaps:
                self._tell(gaps[event.id], everybody=True)
            self._tell(Happened(event, tenant))
            self._position = event.id
        for gap in passage.gaps:
            if gap.next > passage.position:
                self._tell(gap, everybody=True)
        self._position = passage.position
        return len(passage.events)

    def _tell(self, item: Item, *, everybody: bool = False) -> None:
        if len(self._kept) == self._kept.maxlen:
            oldest = self._kept.popleft()
            self._kept_after = oldest.event.id if isinstance(oldest, Happened) else self._kept_after
        self._kept.append(item)
        for one in self._listeners:
            one.hear(item)
        if isinstance(item, Happened) and is_of_job(item.event):  # a machine may have the name of a job
            for one in self._of_jobs.get(item.event.subject, ()):
                one.hear(item)
        if everybody:
            for some in self._of_jobs.values():
                for one in some:
                    one.hear(item)
