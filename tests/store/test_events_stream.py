"""A cell's events, read in order from any point, and progress, which is read or lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from northstar.domain.errors import Unavailable
from northstar.domain.events import EventId
from northstar.store.cell import Cell
from northstar.store.events import read_events
from northstar.store.progress import MAX_PROGRESS_BYTES, ProgressTooLarge, channel, listen_progress, publish_progress
from northstar.store.valkey import ClientOptions, connect
from tests.agent.rig import Rig
from tests.servers import RunningServer, eventually

START = EventId(0, 0)


@pytest_asyncio.fixture
async def rig(valkey_server: RunningServer) -> AsyncIterator[Rig]:
    async with Rig(valkey_server.url) as opened:
        yield opened


async def test_events_come_in_order_with_their_facts(rig: Rig) -> None:
    link = await rig.joined("m")
    await rig.submit("a")
    (job,) = (await link.claim(credits_=1)).jobs
    events = await read_events(rig.cell.client, rig.cell.keys, after=START)
    assert [(event.kind, event.subject, event.number) for event in events] == [
        ("machine.registered", "m", 0),
        ("job.submitted", "a", 1),
        ("job.started", "a", 2),
    ]
    assert [event.id for event in events] == [EventId(1, 1), EventId(1, 2), EventId(1, 3)]
    assert events[-1].data == {"machine": "m", "claim": 1, "token": job.token}
    assert 0 < events[0].at_ms <= events[-1].at_ms


async def test_reading_goes_on_where_it_ended(rig: Rig) -> None:
    await rig.submit(*(f"j{number}" for number in range(10)))
    seen: list[str] = []
    after = START
    while page := await read_events(rig.cell.client, rig.cell.keys, after=after, count=3):
        seen += [event.subject for event in page]
        after = page[-1].id
    assert seen == [f"j{number}" for number in range(10)]


async def test_a_reader_may_wait_for_the_next_event(rig: Rig) -> None:
    waiting = asyncio.create_task(read_events(rig.cell.client, rig.cell.keys, after=START, wait_ms=10_000))
    await rig.submit("a")
    assert [event.subject for event in await waiting] == ["a"]


async def test_a_reader_that_waits_in_vain_gets_nothing(rig: Rig) -> None:
    assert await read_events(rig.cell.client, rig.cell.keys, after=START, wait_ms=20) == []


async def test_a_server_that_does_not_answer_is_unavailable(rig: Rig) -> None:
    client = connect("unix:///nowhere/s")
    with pytest.raises(Unavailable, match="Valkey does not answer"):
        await read_events(client, rig.cell.keys, after=START)
    await client.aclose()


async def listens(rig: Rig, job: str) -> None:
    async def is_so() -> bool:
        answer = await rig.cell.client.execute_command("PUBSUB", "SHARDNUMSUB", channel(rig.cell, job))
        return int(answer[1]) == 1

    await eventually(is_so, what="somebody listens")


async def test_progress_is_heard_by_whoever_listens_with_the_token_of_its_run(rig: Rig) -> None:
    async def first_two() -> list[tuple[str, bytes]]:
        heard = []
        async for message in listen_progress(rig.cell, "a"):
            heard.append(message)
            if len(heard) == 2:
                break
        return heard

    listening = asyncio.create_task(first_two())
    await listens(rig, "a")
    assert await publish_progress(rig.cell, "a", "1.n.1", b"half\nway") == 1
    assert await publish_progress(rig.cell, "a", "1.n.1", b"done") == 1
    assert await listening == [("1.n.1", b"half\nway"), ("1.n.1", b"done")]


async def test_progress_that_nobody_hears_is_lost_without_a_word(rig: Rig) -> None:
    assert await publish_progress(rig.cell, "a", "1.n.1", b"half") == 0


async def test_progress_that_is_too_large_is_refused(rig: Rig) -> None:
    with pytest.raises(
        ProgressTooLarge,
        match=r"65,537 bytes \(65.5 kB\), more than 65,536 bytes \(65.5 kB\); store previews as assets",
    ):
        await publish_progress(rig.cell, "a", "1.n.1", bytes(MAX_PROGRESS_BYTES + 1))


async def test_a_listener_waits_longer_than_an_answer_may_take(valkey_server: RunningServer) -> None:
    async with Rig(valkey_server.url) as rig, valkey_server.client(ClientOptions(answer_timeout_s=0.1)) as client:
        cell = Cell(client, rig.name)

        async def first() -> tuple[str, bytes]:
            async for message in listen_progress(cell, "a"):
                return message
            raise AssertionError("the connection ended")

        listening = asyncio.create_task(first())
        await listens(rig, "a")
        await asyncio.sleep(0.5)
        assert await publish_progress(rig.cell, "a", "1.n.1", b"late") == 1
        assert await listening == ("1.n.1", b"late")
