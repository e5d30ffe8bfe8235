"""All events that are a key's business, from any point on: what has been, page by page, and then what happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from northstar.broker.event_feed import Happened, Item
from northstar.broker.event_log import BEGINNING, PAGE
from northstar.domain.told_events import EventFilter, ToldEvent, may_see, told
from northstar.store.history.continuity import Gap

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from northstar.broker.event_feed import EventFeed, Listening
    from northstar.broker.event_log import EventLog
    from northstar.broker.event_tenants import EventTenants
    from northstar.domain.api_keys import Caller
    from northstar.domain.events import EventId

#: Events that one page is looked for in.
MOST_LOOKED_AT: Final = 5_000


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """Events that nobody can tell any more: those after `after` and before `before`; `count` of them are known to be missing."""

    after: str
    before: str
    count: int
    #: `forgotten`: they are older than what is kept; `lost`: the cell's server was another one since, and had not kept them.
    reason: str


class Quiet(msgspec.Struct, frozen=True):
    """Nothing that is wanted has happened up to this position."""

    position: str


class EventPage(msgspec.Struct, frozen=True, kw_only=True):
    """Events in order. A page may be short, or empty, and not be the last: go on with its cursor while there is `more`."""

    events: tuple[ToldEvent, ...]
    missing: tuple[Missing, ...]
    #: Up to where has been looked: where the next page begins, now or later.
    cursor: str
    more: bool


def missing(gap: Gap) -> Missing:
    """A gap as clients are told it."""
    reason = "lost" if gap.reason == "server_changed" else "forgotten"
    return Missing(after=str(gap.last), before=str(gap.next), count=gap.missing or gap.disowned, reason=reason)


class EventStreams:
    """The events of one cell for its keys."""

    def __init__(self, events: EventLog, tenants: EventTenants, feed: EventFeed) -> None:
        self._events = events
        self._tenants = tenants
        self._feed = feed

    async def latest(self) -> EventId:
        """The position of what happened last. Raises Unavailable."""
        return await self._events.latest()

    async def expect(self, caller: Caller, wanted: EventFilter, after: EventId | None) -> EventFilter:
        """What can be told of what is wanted. Raises TenantForeign, EventIdUnknown, Unavailable."""
        if after is not None:
            await self._events.expect_known(after)
        return msgspec.structs.replace(wanted, tenant=caller.tenant_for(wanted.tenant)) if wanted.tenant else wanted

    async def page(self, caller: Caller, wanted: EventFilter, *, after: EventId, limit: int) -> EventPage:
        """At most `limit` events after a position. Raises TenantForeign, EventIdUnknown, Unavailable."""
        wanted = await self.expect(caller, wanted, after)
        found: list[ToldEvent] = []
        gone: list[Missing] = []
        looked_at = 0
        while looked_at < MOST_LOOKED_AT:
            items, position = await self._past(after)
            for item in items:
                if isinstance(item, Gap):
                    gone.append(missing(item))
                    continue
                after = item.event.id
                if _is_told(caller, wanted, item):
                    found.append(told(item.event, item.tenant))
                if len(found) == limit:
                    return EventPage(events=tuple(found), missing=tuple(gone), cursor=str(after), more=True)
            after, looked_at = position, looked_at + len(items)
            if not items:
                return EventPage(events=tuple(found), missing=tuple(gone), cursor=str(after), more=False)
        return EventPage(events=tuple(found), missing=tuple(gone), cursor=str(after), more=True)

    async def follow(
        self, caller: Caller, wanted: EventFilter, *, after: EventId | None, every_s: float
    ) -> AsyncIterator[ToldEvent | Missing | Quiet]:
        """What was after a position, and then what happens, for ever; from now on without one. Once in `every_s` it says that it lives.

        `wanted` is what `expect` gave. Raises ReaderTooSlow, FeedEnded, EventIdUnknown, Unavailable.
        """

        def is_told(happened: Happened) -> bool:
            return _is_told(caller, wanted, happened)

        if after is None:
            async with self._feed.listening(is_told) as listening:
                yield Quiet(str(self._feed.position))
                async for one in self._live(listening, every_s=every_s):
                    yield one
            return
        while True:
            async with self._feed.listening_after(after, is_told) as goes_on:
                if goes_on is not None:
                    yield Quiet(str(after))
                    async for one in self._live(goes_on, every_s=every_s):
                        yield one
            items, after = await self._past(after)
            for item in items:
                if isinstance(item, Gap):
                    yield missing(item)
                elif is_told(item):
                    yield told(item.event, item.tenant)
            yield Quiet(str(after))

    async def _past(self, after: EventId) -> tuple[list[Item], EventId]:
        """The next events and gaps, in order, and up to where that is all. What was before the oldest event that is kept is no gap."""
        passage = await self._events.after(after, count=PAGE)
        tenants = await self._tenants.of(passage)
        gaps = {gap.next: gap for gap in passage.gaps if gap.last != BEGINNING}
        items: list[Item] = []
        for event, tenant in zip(passage.events, tenants, strict=True):
            if event.id in gaps:
                items.append(gaps.pop(event.id))
            items.append(Happened(event, tenant))
        return [*items, *gaps.values()], passage.position

    async def _live(self, listening: Listening, *, every_s: float) -> AsyncIterator[ToldEvent | Missing | Quiet]:
        while True:
            match await listening.next(within_s=every_s):
                case Happened(event, tenant):
                    yield told(event, tenant)
                case Gap() as gap:
                    yield missing(gap)
                case None:
                    yield Quiet(str(self._feed.position))


def _is_told(caller: Caller, wanted: EventFilter, happened: Happened) -> bool:
    event, tenant = happened.event, happened.tenant
    return wanted.accepts(event, tenant) and may_see(caller, event, tenant)
