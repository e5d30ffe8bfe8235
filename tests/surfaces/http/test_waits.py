"""`Prefer: wait=N`: answered when the job is over, or after so many seconds with what it is then."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from northstar.broker.event_feed import EventFeed, Happened, Listening
from northstar.broker.event_log import EventLog
from northstar.broker.event_tenants import EventTenants
from northstar.broker.job_waits import JobWaits
from northstar.domain.api_keys import Scope
from northstar.domain.events import EventId
from northstar.store.history.continuity import Gap
from northstar.store.history.event_pages import EventPages
from tests.servers import RunningServer
from tests.surfaces.http.site import SERVICE, Client, Site
from tests.surfaces.http.site import site as opened
from tests.surfaces.http.work import Machine, machine

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def worker(http_server: RunningServer, tmp_path: Path) -> AsyncIterator[tuple[Site, Machine, Client]]:
    async with opened(http_server, tmp_path) as site, machine(site, tmp_path) as one:
        yield site, one, await site.client(Scope.SUBMIT, Scope.READ, tenant="acme")


async def test_a_submission_is_answered_with_the_job_as_it_ended(worker: tuple[Site, Machine, Client]) -> None:
    _, one, client = worker
    asking = asyncio.create_task(
        client.post("/v1/jobs", {"service": SERVICE, "id": "now"}, headers={"Prefer": "respond-async, wait=30"})
    )
    (job,) = await one.take("now")
    await one.finish(job)
    answer = await asking
    assert (answer.status, answer.body["status"], answer.headers["Preference-Applied"]) == (200, "succeeded", "wait=30")
    assert answer.headers["Location"] == "/v1/jobs/now"
    again = await client.get("/v1/jobs/now", headers={"Prefer": "wait=30"})
    assert (again.body["status"], again.headers["Preference-Applied"]) == ("succeeded", "wait=30")


async def test_a_job_that_is_not_over_in_time_is_told_as_it_stands(worker: tuple[Site, Machine, Client]) -> None:
    _, _, client = worker
    submitted = await client.post("/v1/jobs", {"service": SERVICE}, headers={"Prefer": "wait=1"})
    assert (submitted.status, submitted.headers.get("Preference-Applied")) == (202, None)
    found = await client.get(submitted.body["urls"]["self"], headers={"Prefer": "wait=1"})
    assert (found.status, found.headers.get("Preference-Applied")) == (200, None)
    assert found.body["status"] in {"queued", "offered"}


@pytest.mark.parametrize("prefer", ["wait=0", "wait=-1", "wait=soon", "return=minimal", ""])
async def test_a_preference_that_says_nothing_is_passed_over(worker: tuple[Site, Machine, Client], prefer: str) -> None:
    _, _, client = worker
    answer = await client.post("/v1/jobs", {"service": SERVICE}, headers={"Prefer": prefer})
    assert answer.status == 202


async def test_many_wait_for_one_job_over_one_reader_and_more_than_may_are_not_kept(
    worker: tuple[Site, Machine, Client],
) -> None:
    site, one, client = worker
    job_id = await client.submit()
    (job,) = await one.take(job_id)
    feed = _feed_of(site)
    waits = JobWaits(site.cell, feed, most=3)
    waiting = [asyncio.create_task(waits.until_over(job_id, key_id=f"k{key}", within_s=20.0)) for key in range(3)]
    while not feed.is_reading:
        await asyncio.wait(waiting, timeout=0.01)
    assert await waits.until_over(job_id, key_id="k3", within_s=20.0) is False  # at once: three wait already
    await one.finish(job)
    assert await asyncio.gather(*waiting) == [True, True, True]
    await feed.close()


async def test_one_key_takes_the_places_of_no_other(worker: tuple[Site, Machine, Client]) -> None:
    site, one, client = worker
    job_id = await client.submit()
    (job,) = await one.take(job_id)
    feed = _feed_of(site)
    waits = JobWaits(site.cell, feed, most=3, most_of_key=2)
    waiting = [asyncio.create_task(waits.until_over(job_id, key_id="greedy", within_s=20.0)) for _ in range(2)]
    while not feed.is_reading:
        await asyncio.wait(waiting, timeout=0.01)
    assert await waits.until_over(job_id, key_id="greedy", within_s=20.0) is False  # at once
    other = asyncio.create_task(waits.until_over(job_id, key_id="modest", within_s=20.0))
    assert not (await asyncio.wait({other}, timeout=0.2))[0]  # it waits
    await one.finish(job)
    assert await asyncio.gather(*waiting, other) == [True, True, True]
    await feed.close()


class _HeardOnce(EventFeed):
    """A feed of which one listener can be reached."""

    def __init__(self) -> None:
        self.one = Listening(lambda _: True)

    @contextlib.asynccontextmanager
    async def listening(
        self, wanted: Callable[[Happened], bool], *, job: str | None = None, most: int = 1
    ) -> AsyncIterator[Listening]:
        yield self.one


async def test_an_end_that_is_among_what_is_missing_is_found(worker: tuple[Site, Machine, Client]) -> None:
    site, _, client = worker
    job_id = await client.submit()
    feed = _HeardOnce()
    gap = Gap(last=EventId(1, 1), next=EventId(1, 9), reason="events_missing", missing=7, disowned=0, at_ms=0)
    waiting = asyncio.create_task(JobWaits(site.cell, feed).until_over(job_id, key_id="k", within_s=50.0))
    feed.one.hear(gap)  # it is not over yet, and is waited for on
    assert not (await asyncio.wait({waiting}, timeout=0.2))[0]
    await site.cell.cancel([job_id], because="test")
    feed.one.hear(gap)
    async with asyncio.timeout(10.0):
        assert await waiting is True


def _feed_of(site: Site) -> EventFeed:
    pages = EventPages(site.serve.history, cell=site.cell.name)
    return EventFeed(EventLog(site.cell, pages), EventTenants(site.cell, pages), wait_ms=200)
