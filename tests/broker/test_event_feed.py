"""One reader for all who listen: each event once and in order to everybody, over lost connections, for whoever reads in time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from northstar.broker.event_errors import EventIdUnknown, FeedEnded, ReaderTooSlow
from northstar.broker.event_feed import EventFeed, Happened, Listening
from northstar.broker.event_log import EventLog
from northstar.broker.event_streams import EventStreams, Missing
from northstar.broker.event_tenants import EventTenants
from northstar.broker.job_lives import last_life
from northstar.domain.api_keys import Caller, Scope
from northstar.domain.events import Event, EventId
from northstar.domain.told_events import EventFilter, ToldEvent
from northstar.store.history import BEGINNING, HistoryDatabase, HistoryWriter
from northstar.store.history.event_pages import EventPages
from tests.agent.rig import SOON_S, Rig
from tests.servers import eventually


class Feeds:
    """A cell, its history, and feeds of both."""

    def __init__(self, rig: Rig, history: HistoryDatabase) -> None:
        self.rig = rig
        self.pages = EventPages(history, cell=rig.cell.name)
        self.log = EventLog(rig.cell, self.pages)
        self.tenants = EventTenants(rig.cell, self.pages)
        self.writer = HistoryWriter(rig.cell, history, jitter=lambda: 0.0)

    @contextlib.asynccontextmanager
    async def feed(self, *, most_kept: int = 100) -> AsyncIterator[EventFeed]:
        feed = EventFeed(self.log, self.tenants, most_kept=most_kept, wait_ms=100)
        try:
            yield feed
        finally:
            await feed.close()

    async def write(self) -> None:
        """Bring all events into the history; the cell forgets them."""
        while await self.writer.step():
            pass


@pytest_asyncio.fixture
async def feeds(rig: Rig, tmp_path: Path) -> AsyncIterator[Feeds]:
    history = HistoryDatabase(f"sqlite:///{tmp_path}/history.db")
    await history.open()
    try:
        yield Feeds(rig, history)
    finally:
        await history.close()


def everything(_: Happened) -> bool:
    return True


async def told(listening: Listening, count: int) -> list[str]:
    """The subjects of the next events."""
    subjects: list[str] = []
    while len(subjects) < count:
        item = await listening.next(within_s=SOON_S)
        assert isinstance(item, Happened), item
        subjects.append(item.event.subject)
    return subjects


async def test_everybody_is_told_each_event_once_and_in_order(feeds: Feeds) -> None:
    async with (
        feeds.feed() as feed,
        feed.listening(everything) as one,
        feed.listening(everything) as two,
        feed.listening(everything, job="b") as of_b,
    ):
        await feeds.rig.submit("a", "b", "c", tenant="acme")
        assert await told(one, 3) == await told(two, 3) == ["a", "b", "c"]
        assert await told(of_b, 1) == ["b"]
        assert await of_b.next(within_s=0.0) is None


async def test_it_asks_nothing_of_the_cell_while_nobody_listens(feeds: Feeds) -> None:
    async with feeds.feed() as feed:

        async def has_ended() -> bool:
            return not feed.is_reading

        assert await has_ended()
        async with feed.listening(everything):
            assert not await has_ended()
        await eventually(has_ended, what="the reader has ended with the last listener")
        async with feed.listening(everything) as again:
            await feeds.rig.submit("a")
            assert await told(again, 1) == ["a"]


async def test_it_goes_on_where_it_was_after_a_lost_connection(feeds: Feeds) -> None:
    async with feeds.feed() as feed, feed.listening(everything) as listening:
        await feeds.rig.submit("a")
        assert await told(listening, 1) == ["a"]
        async with contextlib.AsyncExitStack() as stack:
            other = feeds.rig.client()
            stack.push_async_callback(other.aclose)
            await other.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await feeds.rig.submit("b")
            await other.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await feeds.rig.submit("c")
        assert await told(listening, 2) == ["b", "c"]


async def test_what_the_cell_has_forgotten_meanwhile_comes_from_the_history(feeds: Feeds) -> None:
    async with feeds.feed() as feed, feed.listening(everything) as listening:
        for name in ("a", "b", "c"):
            await feeds.rig.submit(name)
            await feeds.write()
        assert await told(listening, 3) == ["a", "b", "c"]
    assert [event.subject for event in (await feeds.log.after(BEGINNING)).events][-3:] == ["a", "b", "c"]


async def test_a_listener_that_reads_too_slowly_is_cut_off_and_nobody_else(feeds: Feeds) -> None:
    async with feeds.feed() as feed, feed.listening(everything, most=3) as slow, feed.listening(everything) as quick:
        await feeds.rig.submit(*(f"j{number}" for number in range(10)))
        assert len(await told(quick, 10)) == 10
        with pytest.raises(ReaderTooSlow):
            await slow.next(within_s=SOON_S)
        await feeds.rig.submit("later")
        assert await told(quick, 1) == ["later"]
        with pytest.raises(ReaderTooSlow):
            await slow.next(within_s=SOON_S)


async def test_whoever_has_read_up_to_what_is_kept_goes_on_without_a_gap(feeds: Feeds) -> None:
    async with feeds.feed(most_kept=5) as feed, feed.listening(everything) as listening:
        began = feed.position
        await feeds.rig.submit(*(f"j{number}" for number in range(8)))
        await told(listening, 8)
        async with feed.listening_after(began, everything) as too_old:
            assert too_old is None
        after = EventId(began.epoch, began.sequence + 5)
        async with feed.listening_after(after, everything) as going_on:
            assert going_on is not None
            await feeds.rig.submit("j8")
            assert await told(going_on, 4) == ["j5", "j6", "j7", "j8"]


async def test_when_it_ends_everybody_is_told(feeds: Feeds) -> None:
    async with feeds.feed() as feed, feed.listening(everything) as listening:
        await feed.close()
        with pytest.raises(FeedEnded):
            await listening.next(within_s=SOON_S)
        with pytest.raises(FeedEnded):
            await feed.listening(everything).__aenter__()


async def test_whoever_comes_in_the_middle_of_it_all_misses_nothing_and_hears_nothing_twice(feeds: Feeds) -> None:
    caller = Caller(key_id="k", name="k", scopes=frozenset({Scope.ADMIN}), tenant=None)
    began = await feeds.log.latest()

    async def happen() -> None:
        for batch in range(40):
            await feeds.rig.submit(*(f"b{batch}-{number}" for number in range(25)))
            await feeds.writer.step()

    async with feeds.feed(most_kept=30) as feed, asyncio.TaskGroup() as tasks:
        streams = EventStreams(feeds.log, feeds.tenants, feed)
        tasks.create_task(happen())
        for _ in range(4):
            tasks.create_task(_expect_whole(streams, caller, began))
            await feeds.log.latest()


async def _expect_whole(streams: EventStreams, caller: Caller, began: EventId) -> None:
    """One thousand events after a position, each followed by the next."""
    sequence = began.sequence
    async with (
        asyncio.timeout(60),
        contextlib.aclosing(streams.follow(caller, EventFilter(), after=began, every_s=1.0)) as following,  # type: ignore[type-var]
    ):
        async for item in following:
            assert not isinstance(item, Missing), item
            if isinstance(item, ToldEvent):
                sequence += 1
                assert item.id == f"{began.epoch}-{sequence}"
            if sequence == began.sequence + 1_000:
                return


async def test_a_cell_that_was_made_anew_is_not_taken_for_the_old_one(feeds: Feeds) -> None:
    with pytest.raises(EventIdUnknown):
        await feeds.log.after(EventId(1, 999_999))
    with pytest.raises(EventIdUnknown):
        await feeds.log.expect_known(EventId(7, 0))


async def test_events_that_nobody_has_kept_are_a_gap(feeds: Feeds) -> None:
    began = await feeds.log.latest()
    await feeds.rig.submit("a", "b")
    await feeds.rig.cell.client.execute_command("XTRIM", feeds.rig.cell.keys["events"], "MAXLEN", 0)
    passage = await feeds.log.after(began)
    assert passage.events == []
    (gap,) = passage.gaps
    assert (gap.last, gap.missing) == (began, 2)
    assert passage.position == await feeds.log.latest()
    await feeds.rig.submit("c")
    assert [event.subject for event in (await feeds.log.after(passage.position)).events] == ["c"]


async def test_tenants_are_those_of_the_time_at_which_something_happened(feeds: Feeds) -> None:
    rig = feeds.rig
    await rig.submit("a", tenant="first")
    await rig.cell.cancel(["a"], because="test")
    await feeds.write()
    events = (await feeds.log.after(BEGINNING)).events
    ours = [event for event in events if event.subject == "a"]
    assert (await feeds.log.after(BEGINNING)).is_past
    assert await feeds.tenants.of_past(ours) == ["first", "first"]
    # A process that has begun since knows only the cell.
    anew = EventTenants(rig.cell, feeds.pages)
    assert await anew.of_present(ours[1:]) == ["first"]
    assert await anew.of_present([event for event in events if event.subject != "a"]) == [""] * (len(events) - 2)


class _TwoLives(EventPages):
    """A history in which an id was given to another tenant once its first job was forgotten."""

    def __init__(self) -> None:
        pass

    async def submissions(self, job_ids: Sequence[str]) -> dict[str, list[tuple[EventId, str]]]:
        return {"a": [(EventId(1, 10), "first"), (EventId(1, 20), "second")]}

    async def tenants(self, job_ids: Sequence[str]) -> dict[str, str]:
        return {}


async def test_an_id_that_is_given_again_takes_nothing_of_its_first_tenant_along(rig: Rig) -> None:
    def event(sequence: int, kind: str = "job.canceled") -> Event:
        return Event(
            id=EventId(1, sequence),
            kind=kind,
            subject="a",
            number=1 if kind == "job.submitted" else 2,
            at_ms=0,
            data={"tenant": "second"},
        )

    tenants = EventTenants(rig.cell, _TwoLives())
    assert await tenants.of_past([event(5), event(15), event(25)]) == ["", "first", "second"]
    lives = [event(10, "job.submitted"), event(15), event(20, "job.submitted"), event(25)]
    assert [one.id.sequence for one in last_life(lives)] == [20, 25]
