"""What happened to one job, for its tenant: so far as a list, and on to its end as a stream with its progress."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

import msgspec

from northstar.broker.event_feed import Happened
from northstar.broker.event_streams import Missing, Quiet, missing
from northstar.domain.job_story import Step, steps_of
from northstar.domain.progress import Progress, ProgressOrder, from_wire
from northstar.domain.refusals import NoSuchJob
from northstar.domain.runs import run_number
from northstar.domain.told_events import FINAL_KINDS, ToldEvent, told
from northstar.store.history.continuity import BEGINNING, Gap

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from northstar.broker.event_feed import EventFeed, Listening
    from northstar.broker.job_past import JobPast
    from northstar.domain.api_keys import Caller
    from northstar.domain.events import Event, EventId
    from northstar.store.cell import Cell
    from northstar.store.progress_channels import Heard, ProgressChannels

#: News that came before the end may still be on their way when the end is heard of.
_LAST_NEWS_S: Final = 0.05
#: News of a run whose start has not been told yet; beyond that the oldest go.
_MOST_EARLY: Final = 100


class JobStep(msgspec.Struct, frozen=True, kw_only=True):
    """One event of a job, in words. `attempt` is the number of the attempt that it belongs to; 0 before the first."""

    id: str
    at_ms: int
    event: str
    attempt: int
    machine: str
    what: str
    why: str


class JobStory(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to a job, in order."""

    job: str
    events: tuple[JobStep, ...]
    #: Where the next page begins: the id of the last event here, also when nothing has happened after it yet.
    cursor: str
    more: bool


class News(msgspec.Struct, frozen=True):
    """Progress of the latest run; it has no place in the history, and may be lost on the way."""

    progress: Progress


class JobEvents:
    """The events of one cell's jobs."""

    def __init__(self, cell: Cell, past: JobPast, feed: EventFeed, progress: ProgressChannels) -> None:
        self._cell = cell
        self._past = past
        self._feed = feed
        self._progress = progress

    async def story(self, caller: Caller, job_id: str, *, after: EventId, limit: int) -> JobStory:
        """Steps after a position, at most `limit`. Raises NoSuchJob, Unavailable."""
        events, max_attempts, _ = await self._of(caller, job_id)
        steps = [
            _step(event, step)
            for event, step in zip(events, steps_of(events, max_attempts=max_attempts), strict=True)
            if event.id > after
        ]
        some = tuple(steps[:limit])
        cursor = some[-1].id if some else "" if after == BEGINNING else str(after)
        return JobStory(job=job_id, events=some, cursor=cursor, more=len(steps) > limit)

    async def expect(self, caller: Caller, job_id: str) -> None:
        """Raises NoSuchJob: it is none, or none of this key's business. Raises Unavailable."""
        await self._of(caller, job_id)

    async def is_told(self, caller: Caller, job_id: str, *, after: EventId) -> bool:
        """Whether the job is over, and all that happened to it was so up to this position. Raises NoSuchJob, Unavailable."""
        events, _, _ = await self._of(caller, job_id)
        return bool(events) and events[-1].kind in FINAL_KINDS and events[-1].id <= after

    async def follow(
        self, caller: Caller, job_id: str, *, after: EventId, every_s: float
    ) -> AsyncIterator[ToldEvent | News | Missing | Quiet]:
        """Each event after a position, once and in order, until the job is over; between them its progress.

        Once in `every_s` it says that it lives. Raises NoSuchJob, ReaderTooSlow, FeedEnded, EventIdUnknown, Unavailable.
        """
        async with self._feed.listening(lambda _: True, job=job_id) as listening:
            with self._progress.listening(job_id, listening.nudge) as heard:
                # First listened, then read: what happens in between comes twice, and is told once.
                events, _, tenant = await self._of(caller, job_id)
                telling = _Telling(heard, tenant, after=after)
                for event in events:
                    for told_now in telling.tell(event):
                        yield told_now
                if events and events[-1].kind in FINAL_KINDS:
                    return
                async for item in self._live(listening, telling, every_s=every_s):
                    yield item

    async def _live(
        self, listening: Listening, telling: _Telling, *, every_s: float
    ) -> AsyncIterator[ToldEvent | News | Missing | Quiet]:
        while True:
            happened = await listening.next(within_s=every_s)
            is_over = isinstance(happened, Happened) and telling.is_last(happened.event)
            if is_over:
                await asyncio.sleep(_LAST_NEWS_S)
            news = telling.news()
            for one in news:
                yield one
            match happened:
                case Happened(event, _):
                    for told_now in telling.tell(event):
                        yield told_now
                case Gap() as gap:
                    yield missing(gap)
                case None if not news:
                    yield Quiet("")
            if is_over:
                return

    async def _of(self, caller: Caller, job_id: str) -> tuple[Sequence[Event], int, str]:
        """The events of its latest life, how often it may fail (0: the queue has forgotten it), and its tenant. Raises NoSuchJob."""
        # An earlier job of the same id may have been another tenant's.
        events = _since(await self._past.events(job_id), "job.submitted")
        jobs = (await self._cell.inspect([job_id])).jobs
        begun = events[0].data.get("tenant") if events else None
        tenant = jobs[0].record.tenant if jobs else str(begun or "")
        if not (jobs or begun) or not caller.reaches(tenant):
            raise NoSuchJob({"job": job_id})
        if begun not in {None, tenant}:  # it came from another cell, and an earlier one of its id had begun here
            events = _since(events, "job.arrived")
        return events, jobs[0].record.max_attempts if jobs else 0, tenant


class _Telling:
    """Puts events and progress in order: an event once, and news of a run after its start and before its end."""

    def __init__(self, heard: Heard, tenant: str, *, after: EventId) -> None:
        self._heard = heard
        self._tenant = tenant
        self._after = after
        self._number = 0
        self._last: EventId | None = None
        self._run = 0
        self._order = ProgressOrder()
        self._early: deque[tuple[str, bytes]] = deque(maxlen=_MOST_EARLY)
        self._said: Progress | None = None

    def is_last(self, event: Event) -> bool:
        """Whether nothing comes after it."""
        return event.kind in FINAL_KINDS and (self._last is None or event.id > self._last)

    def tell(self, event: Event) -> list[ToldEvent | News | Missing]:
        """The event, unless it was told, and what was heard early of the run that it starts."""
        if self._last is not None and event.id <= self._last:
            return []
        items: list[ToldEvent | News | Missing] = []
        skipped = event.number - self._number - 1
        if self._last is not None and skipped > 0 and event.kind != "job.arrived" and event.id > self._after:
            items.append(Missing(after=str(self._last), before=str(event.id), count=skipped, reason="forgotten"))
        self._number, self._last = event.number, event.id
        if event.kind == "job.started":
            self._run = int(event.data.get("claim") or 0)
        if event.id > self._after:
            items.append(told(event, self._tenant))
        if event.kind == "job.started":
            early = list(self._early)
            self._early.clear()
            items += self._ordered(early)
        return items

    def news(self) -> list[News]:
        """What was heard of the run that has started."""
        return self._ordered(self._heard.take())

    def _ordered(self, heard: Sequence[tuple[str, bytes]]) -> list[News]:
        found: list[News] = []
        for token, text in heard:
            if run_number(token) > self._run:
                self._early.append((token, text))
                continue
            news = from_wire(text)
            shown = None if news is None else self._order.hear(token, news)
            # Machines repeat their last report for those who come late.
            if shown is not None and (shown.tokens or shown != self._said):
                self._said = shown
                found.append(News(shown))
        return found


def _since(events: Sequence[Event], kind: str) -> Sequence[Event]:
    """From the last event of this kind on; all where there is none."""
    begins = [at for at, event in enumerate(events) if event.kind == kind]
    return events[begins[-1] :] if begins else events


def _step(event: Event, step: Step) -> JobStep:
    return JobStep(
        id=str(event.id),
        at_ms=step.at_ms,
        event=step.event,
        attempt=step.attempt,
        machine=step.machine,
        what=step.what,
        why=step.why,
    )
