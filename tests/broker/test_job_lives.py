"""The last life of an id: neither an earlier job's, nor a machine's of the same name, nor more than is known to be the job's own."""

from __future__ import annotations

import itertools
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from northstar.broker import waiting_events
from northstar.broker.event_tenants import EventTenants
from northstar.broker.job_lives import last_life, read_life, tenant_of
from northstar.broker.job_past import JobPast
from northstar.broker.submission import Submitter
from northstar.broker.transfer import move
from northstar.domain.events import Event, EventId
from northstar.domain.jobs import JobRequest
from northstar.store.cell import Cell
from northstar.store.history import HistoryDatabase, HistoryReader, HistoryWriter
from northstar.store.history.event_pages import EventPages
from tests.broker.test_transfer import a_cell
from tests.servers import RunningServer

SERVICE = "paint"


def event(sequence: int, kind: str, number: int, *, epoch: int = 1, subject: str = "a", tenant: str = "") -> Event:
    data = {"tenant": tenant} if tenant else {}
    return Event(id=EventId(epoch, sequence), kind=kind, subject=subject, number=number, at_ms=sequence, data=data)


def told(events: Sequence[Event]) -> list[int]:
    return [one.id.sequence for one in last_life(events)]


def test_a_life_begins_with_the_last_submission_or_arrival() -> None:
    first = [event(1, "job.submitted", 1, tenant="first"), event(2, "job.canceled", 2)]
    assert told([*first, event(3, "job.submitted", 1, tenant="second"), event(4, "job.started", 2)]) == [3, 4]
    arrived = [*first, event(3, "job.arrived", 7), event(4, "job.started", 8)]
    assert told(arrived) == [3, 4]
    assert tenant_of(last_life(arrived)) == ""
    assert tenant_of(last_life(first)) == "first"


def test_a_life_whose_beginning_is_lost_is_known_by_its_numbers() -> None:
    first = [event(1, "job.submitted", 1, tenant="first"), event(2, "job.canceled", 2)]
    assert told([*first, event(9, "job.started", 2)]) == [9]
    assert tenant_of(last_life([*first, event(9, "job.started", 2)])) == ""
    # A server that was replaced numbers the same job's events again.
    assert told([*first, event(3, "job.started", 2, epoch=2)]) == [1, 2, 3]


def test_what_happened_to_a_machine_of_the_same_name_is_of_no_life() -> None:
    mixed = [event(1, "machine.registered", 0), event(2, "job.submitted", 1), event(3, "order.given", 0)]
    assert told(mixed) == [2]


class Places:
    """Two cells, the second with a history."""

    def __init__(self, source: Cell, target: Cell, history: HistoryDatabase) -> None:
        self.source = source
        self.target = target
        self.pages = EventPages(history, cell=target.name)
        self.past = JobPast(target, HistoryReader(history, cell=target.name))
        self.tenants = EventTenants(target, self.pages)
        self._writer = HistoryWriter(target, history, jitter=lambda: 0.0)
        self._ids = itertools.count()

    def new_id(self) -> str:
        return f"id{next(self._ids):08d}"

    async def submit(self, cell: Cell, job_id: str, *, tenant: str) -> None:
        submitter = Submitter(cell, new_id=self.new_id, monotonic=time.monotonic)
        await submitter.submit([JobRequest(service=SERVICE, id=job_id, tenant=tenant, retention_s=1)])

    async def forget(self, cell: Cell, job_id: str) -> None:
        """End a job, and have it forgotten."""
        await cell.cancel([job_id], because="test")
        await self.write()
        assert cell.now_ms is not None
        cell.now_ms += 60_000
        await cell.tick(nonce="n")
        assert (await cell.inspect([job_id])).jobs == []

    async def move(self, job_id: str) -> None:
        await move(self.source, self.target, [job_id], new_id=self.new_id)

    async def write(self) -> None:
        while await self._writer.step():
            pass


@pytest_asyncio.fixture
async def places(broker_server: RunningServer, tmp_path: Path) -> AsyncIterator[Places]:
    history = HistoryDatabase(f"sqlite:///{tmp_path}/history.db")
    await history.open()
    source, target = await a_cell(broker_server.url), await a_cell(broker_server.url)
    try:
        yield Places(source, target, history)
    finally:
        await source.client.aclose()
        await target.client.aclose()
        await history.close()


async def test_a_job_that_arrived_is_its_own_tenants_and_nobody_elses_once_it_is_gone(places: Places) -> None:
    """An earlier job of that id had begun here, and was another tenant's."""
    target = places.target
    await places.submit(target, "a", tenant="first")
    await places.forget(target, "a")
    await places.submit(places.source, "a", tenant="second")
    await places.move("a")
    life = await read_life(target, places.past, "a")
    assert ([one.kind for one in life.events], life.tenant, life.is_whole) == (["job.arrived"], "second", True)
    arrived = list(life.events)
    assert await places.tenants.of_present(arrived) == ["second"]

    await places.forget(target, "a")
    life = await read_life(target, places.past, "a")
    assert ([one.kind for one in life.events], life.tenant) == (["job.arrived", "job.canceled"], "")
    everything = (await places.past.known("a")).events
    assert await places.tenants.of_past(everything) == ["first", "first", "", ""]
    anew = EventTenants(target, places.pages)  # a process that has begun since
    assert await anew.of_present(life.events) == ["", ""]
    assert await anew.of_present(life.events[1:]) == [""]


async def test_a_submission_that_is_not_in_the_history_yet_takes_no_earlier_life_over(places: Places) -> None:
    target = places.target
    await places.submit(places.source, "a", tenant="first")
    await places.move("a")
    await places.forget(target, "a")
    await places.submit(target, "a", tenant="second")
    earlier = [one for one in (await places.past.known("a")).events if one.kind != "job.submitted"][:2]
    assert await places.tenants.of_past(earlier) == ["", ""]
    life = await read_life(target, places.past, "a")
    assert ([one.kind for one in life.events], life.tenant) == (["job.submitted"], "second")


async def test_beyond_what_is_looked_through_no_earlier_life_is_told_and_that_it_is_not_whole(
    places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = places.target
    await places.submit(target, "a", tenant="first")
    await places.forget(target, "a")
    await places.submit(target, "other", tenant="third")
    await places.submit(target, "a", tenant="second")
    monkeypatch.setattr(waiting_events, "_PAGE", 1)
    monkeypatch.setattr(waiting_events, "_MAX_WAITING", 1)
    life = await read_life(target, places.past, "a")
    assert (life.events, life.tenant, life.is_whole) == ((), "second", False)
