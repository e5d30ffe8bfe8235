"""A history that is far behind, and events that nobody can tell: it is said, and no stream waits for what will never come."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from northstar.broker import audit, waiting_events
from northstar.broker.event_feed import EventFeed, Happened, Listening
from northstar.broker.event_streams import Missing
from northstar.broker.job_events import JobEvents
from northstar.broker.job_past import JobPast
from northstar.domain.api_keys import Caller, Scope
from northstar.domain.events import EventId
from northstar.domain.told_events import ToldEvent
from northstar.store.history import BEGINNING, HistoryReader
from northstar.store.history.continuity import Gap
from northstar.store.history.database import HistoryDatabase
from northstar.store.history.errors import HistoryGone
from northstar.store.progress_channels import ProgressChannels
from tests.surfaces.http.machinery import done, machine
from tests.surfaces.http.site import Site
from tests.surfaces.http.test_one_job_alone import page_of
from tests.surfaces.http.work import listening

pytestmark = pytest.mark.asyncio(loop_scope="session")

EVERYBODY = Caller(key_id="k", name="k", scopes=frozenset({Scope.ADMIN}), tenant=None)


@pytest.fixture
def behind(own_site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """The history takes nothing, and three waiting events are looked through."""

    async def stuck(self: HistoryDatabase, work: object) -> None:
        raise HistoryGone(place="here", reason="test")

    monkeypatch.setattr(HistoryDatabase, "write", stuck)
    for module, most in ((waiting_events, "_MAX_WAITING"), (audit, "_MOST_WAITING")):
        monkeypatch.setattr(module, "_PAGE", 1)
        monkeypatch.setattr(module, most, 3)
    return own_site


async def test_a_stream_whose_end_is_not_looked_through_says_so_and_ends(behind: Site) -> None:
    own_site = behind
    ours, theirs = [await own_site.client(Scope.SUBMIT, Scope.READ, tenant=name) for name in ("acme", "umbrella")]
    worker = await machine(own_site, "m1")
    for _ in range(3):
        await theirs.submit()
    job = await ours.submit(service="works")
    assert await done(worker) == job
    story = (await ours.get(f"/v1/jobs/{job}/events")).body
    assert (story["events"], story["incomplete"]) == ([], True)
    async with listening(ours, f"/v1/jobs/{job}/events") as stream:
        (gap,) = await stream.rest()
    assert (gap.name, gap.data["reason"]) == ("gap", "waiting")
    assert gap.data["count"] >= 3  # submitted, started, succeeded
    assert "may be missing" in await page_of(own_site, ours, job)
    lines = (await ours.get(f"/v1/jobs/{job}/decision")).body["lines"]
    assert any("more events wait for the history" in line["text"] for line in lines)
    everything = await own_site.client(Scope.ADMIN)
    assert (await everything.get("/v1/audit")).body["incomplete"] is True


async def test_what_is_whole_says_nothing(own_site: Site) -> None:
    ours, admin = await own_site.client(Scope.SUBMIT, Scope.READ, tenant="acme"), await own_site.client(Scope.ADMIN)
    job = await ours.submit()
    assert (await ours.get(f"/v1/jobs/{job}/events")).body["incomplete"] is False
    assert (await admin.get("/v1/audit")).body["incomplete"] is False
    assert "may be missing" not in await page_of(own_site, ours, job)


class _OneListener(EventFeed):
    """A feed that tells what the test says."""

    def __init__(self) -> None:
        self.one = Listening(lambda _: True)
        self._position = BEGINNING

    @contextlib.asynccontextmanager
    async def listening(
        self, wanted: Callable[[Happened], bool], *, job: str | None = None, most: int = 1
    ) -> AsyncIterator[Listening]:
        yield self.one


async def test_an_end_that_was_among_what_is_missing_ends_the_stream(own_site: Site) -> None:
    cell, client = own_site.cell, await own_site.client(Scope.SUBMIT)
    job = await client.submit()
    feed, progress = _OneListener(), ProgressChannels(cell)
    past = JobPast(cell, HistoryReader(own_site.serve.history, cell=cell.name))
    events = JobEvents(cell, past, feed, progress)
    told: list[object] = []
    async with asyncio.timeout(20.0):
        async for item in events.follow(EVERYBODY, job, after=BEGINNING, every_s=30.0):
            told.append(item)
            if len(told) == 1:
                await cell.cancel([job], because="test")
                gap = Gap(
                    last=EventId(1, 1), next=EventId(1, 9), reason="events_missing", missing=7, disowned=0, at_ms=0
                )
                feed.one.hear(gap)
    await progress.close()
    kinds = [item.kind if isinstance(item, ToldEvent) else type(item) for item in told]
    assert kinds == ["job.submitted", Missing, "job.canceled"]
