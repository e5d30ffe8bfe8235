"""What happened to one job, for its tenant: so far as a list, and on to its end as a stream with its progress."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

import msgspec

from northstar.broker.event_feed import Happened
from northstar.broker.event_streams import Missing, Quiet, missing
from northstar.broker.job_lives import BEGINNINGS, Life, read_life
from northstar.domain.events import EventId
from northstar.domain.job_story import Step, steps_of
from northstar.domain.jobs import JobStatus
from northstar.domain.progress import Progress, ProgressOrder, from_wire
from northstar.domain.refusals import NoSuchJob
from northstar.domain.runs import run_number
from northstar.domain.told_events import FINAL_KINDS, ToldEvent, may_see, told
from northstar.store.history.continuity import BEGINNING, Gap

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from northstar.broker.event_feed import EventFeed, Listening
    from northstar.broker.job_past import JobPast
    from northstar.domain.api_keys import Caller
    from northstar.domain.events import Event
    from northstar.store.cell import Cell
    from northstar.store.progress_channels import Heard, ProgressChannels

#: News that came before the end may still be on their way when the end is heard of.
_LAST_NEWS_S: Final = 0.05
#: News of a run whose start has not been told yet; beyond that the oldest go.
_MOST_EARLY: Final = 100
#: Looks at a job that is over until its last event is found.
_LOOKS: Final = 2


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
    #: What happened last may not be told: the history is behind, and more events wait for it than are looked through.
    incomplete: bool


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
        life = await self.life(caller, job_id)
        steps = [
            _step(event, step)
            for event, step in zip(life.events, steps_of(life.events, max_attempts=life.max_attempts), strict=True)
            if event.id > after and may_see(caller, event, life.tenant)
        ]
        some = tuple(steps[:limit])
        cursor = some[-1].id if some else "" if after == BEGINNING else str(after)
        return JobStory(job=job_id, events=some, cursor=cursor, more=len(steps) > limit, incomplete=not life.is_whole)

    async def expect(self, caller: Caller, job_id: str) -> None:
        """Raises NoSuchJob: it is none, or none of this key's business. Raises Unavailable."""
        await self.life(caller, job_id)

    async def is_told(self, caller: Caller, job_id: str, *, after: EventId) -> bool:
        """Whether the job is over, and all that happened to it was so up to this position. Raises NoSuchJob, Unavailable."""
        last = _last(await self.life(caller, job_id))
        return last is not None and last.kind in FINAL_KINDS and last.id <= after

    async def follow(
        self, caller: Caller, job_id: str, *, after: EventId, every_s: float
    ) -> AsyncIterator[ToldEvent | News | Missing | Quiet]:
        """Each event after a position, once and in order, until the job is over; between them its progress.

        Once in `every_s` it says that it lives. Raises NoSuchJob, ReaderTooSlow, FeedEnded, EventIdUnknown, Unavailable.
        """
        async with self._feed.listening(lambda _: True, job=job_id) as listening:
            with self._progress.listening(job_id, listening.nudge) as heard:
                # First listened, then read: what happens in between comes twice, and is told once.
                life = await self.life(caller, job_id)
                telling = _Telling(heard, caller, life.tenant, after=after)
                told_so_far, is_over = await self._so_far(caller, job_id, life, telling)
                for one in told_so_far:
                    yield one
                if is_over:
                    return
                async for item in self._live(caller, job_id, listening, telling, every_s=every_s):
                    yield item

    async def _so_far(
        self, caller: Caller, job_id: str, life: Life, telling: _Telling
    ) -> tuple[list[ToldEvent | News | Missing | Quiet], bool]:
        """What is known and not told yet, and whether that is all there will be."""
        found: list[ToldEvent | News | Missing | Quiet] = []
        for look in range(_LOOKS):
            for event in life.events:
                found += telling.tell(event)
            last = _last(life)
            if last is not None and last.kind in FINAL_KINDS:
                return found, True
            if life.job is not None and not JobStatus(life.job.record.status).is_final:
                return found, False
            if not life.is_whole:
                break
            if look < _LOOKS - 1:  # it ended between the looks at its events and at its record
                life = await self.life(caller, job_id)
        # It is over, and its end is told nowhere: nothing will ever come.
        return [*found, telling.untold(life, before=self._feed.position)], True

    async def _live(
        self, caller: Caller, job_id: str, listening: Listening, telling: _Telling, *, every_s: float
    ) -> AsyncIterator[ToldEvent | News | Missing | Quiet]:
        while True:
            happened = await listening.next(within_s=every_s)
            if isinstance(happened, Gap):
                yield missing(happened)
                # Its end may be among what is missing.
                items, is_over = await self._so_far(caller, job_id, await self.life(caller, job_id), telling)
            elif happened is not None and telling.is_of_another(happened):
                return
            else:
                items, is_over = await _next(happened, telling)
            for item in items:
                yield item
            if is_over:
                return

    async def life(self, caller: Caller, job_id: str) -> Life:
        """What is known of a job. Raises NoSuchJob: it is none, or none of this key's business; Unavailable."""
        life = await read_life(self._cell, self._past, job_id)
        if (life.job is None and not life.events) or not caller.reaches(life.tenant):
            raise NoSuchJob({"job": job_id})
        return life


class _Telling:
    """Puts events and progress in order: an event once, and news of a run after its start and before its end."""

    def __init__(self, heard: Heard, caller: Caller, tenant: str, *, after: EventId) -> None:
        self._heard = heard
        self._caller = caller
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

    def is_of_another(self, happened: Happened) -> bool:
        """Whether it happened to a later job that was given the same id; nothing more comes of this one then."""
        event = happened.event
        is_later = self._last is not None and event.id > self._last
        return (event.kind in BEGINNINGS and is_later) or happened.tenant not in {"", self._tenant}

    def untold(self, life: Life, *, before: EventId) -> Missing:
        """That the job is over, and that what happened to it last is not known."""
        last = self._last or self._after
        events = self._number if life.job is None else life.job.record.events
        return Missing(
            after=str(last),
            before=str(EventId(before.epoch, before.sequence + 1)),
            count=max(1, events - self._number),
            reason="forgotten" if life.is_whole else "waiting",
        )

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
        if event.id > self._after and may_see(self._caller, event, self._tenant):
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


async def _next(happened: Happened | None, telling: _Telling) -> tuple[list[ToldEvent | News | Missing | Quiet], bool]:
    """What to tell of what has happened, or of nothing, and whether it was the last."""
    is_over = happened is not None and telling.is_last(happened.event)
    if is_over:
        await asyncio.sleep(_LAST_NEWS_S)
    news = telling.news()
    if happened is not None:
        return [*news, *telling.tell(happened.event)], is_over
    return [*news] or [Quiet("")], False


def _last(life: Life) -> Event | None:
    return life.events[-1] if life.events else None


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
