"""All that happens, for whom it is: pages and streams with filters, resumed without a gap, and ended with the key."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest
import pytest_asyncio

from northstar.broker.event_errors import TooManyStreams
from northstar.broker.stream_places import StreamPlaces
from northstar.domain.api_keys import Scope
from northstar.store.history import prune
from tests.servers import RunningServer, eventually
from tests.surfaces.http.site import Client, Site
from tests.surfaces.http.site import site as opened
from tests.surfaces.http.work import kinds, listening

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def client(site: Site) -> Client:
    return await site.client(Scope.SUBMIT, Scope.READ, tenant=site.new_tenant())


async def committed(site: Site) -> None:
    """Wait until the cell has forgotten all events, because the history has them."""

    async def is_so() -> bool:
        counts = (await site.cell.statistics()).counts
        return counts["event"] == counts["committed_event"]

    await eventually(is_so, what="the history has all events")


async def test_a_stream_tells_a_tenant_its_own_jobs_and_nobody_elses(client: Client, site: Site) -> None:
    other = await site.client(Scope.SUBMIT, tenant=site.new_tenant())
    async with listening(client, "/v1/events") as stream:
        await stream.until(lambda one: one.id != "")  # it has begun
        theirs, ours = await other.submit(), await client.submit()
        await client.post(f"/v1/jobs/{ours}/cancel")
        await stream.change("job.canceled")
    subjects = {one.data["subject"] for one in stream.heard if one.is_change}
    assert subjects == {ours}
    assert theirs not in subjects
    assert kinds(stream.heard) == ["submitted", "canceled"]


async def test_pages_go_through_all_that_is_kept_and_a_cursor_goes_on_later(client: Client, site: Site) -> None:
    jobs = [await client.submit() for _ in range(5)]
    await committed(site)
    seen: list[str] = []
    cursor, more = "", True
    while more:
        page = (await client.get("/v1/events", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))).body
        assert len(page["events"]) <= 2
        assert page["missing"] == []
        seen += [one["subject"] for one in page["events"]]
        cursor, more = page["cursor"], page["more"]
    assert seen == jobs
    await client.submit(id=f"{client.tenant}-later")
    page = (await client.get(f"/v1/events?cursor={cursor}")).body
    assert [one["subject"] for one in page["events"]] == [f"{client.tenant}-later"]
    latest = (await client.get("/v1/events?begin=latest")).body
    assert (latest["events"], latest["more"]) == ([], False)


async def test_a_stream_goes_on_after_an_id_through_history_and_cell_into_the_present(
    client: Client, site: Site
) -> None:
    first = await client.submit()
    async with listening(client, "/v1/events?begin=oldest") as stream:
        began = await stream.until(lambda one: one.is_change and one.data["subject"] == first)
    second = await client.submit()
    await committed(site)
    third = await client.submit()
    async with listening(client, "/v1/events", after=began.id) as stream:
        await stream.until(lambda one: one.is_change and one.data["subject"] == third)
        fourth = await client.submit()
        await stream.until(lambda one: one.is_change and one.data["subject"] == fourth)
    assert [one.data["subject"] for one in stream.heard if one.is_change] == [second, third, fourth]
    assert not [one for one in stream.heard if one.name == "gap"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [("kind=job.canceled", ["canceled"]), ("kind=job.", ["submitted", "canceled"]), ("kind=machine.", [])],
)
async def test_kinds_are_chosen_by_their_beginning(client: Client, query: str, expected: list[str]) -> None:
    job = await client.submit()
    await client.post(f"/v1/jobs/{job}/cancel")
    page = (await client.get(f"/v1/events?{query}&job={job}&limit=1000")).body
    assert [one["kind"].removeprefix("job.") for one in page["events"]] == expected


@pytest.mark.parametrize("query", ["kind=%00", "kind=Job", "job=..%2f", "begin=yesterday", "tenant=%0a"])
async def test_what_no_filter_is_says_so(client: Client, query: str) -> None:
    answer = await client.get(f"/v1/events?{query}")
    assert (answer.status, answer.code) == (422, "NS_QUERY_INVALID")


async def test_what_happens_to_the_cell_is_told_to_those_whom_it_concerns(own_site: Site) -> None:
    everybody, one, admin, keeper = (
        await own_site.client(Scope.READ),
        await own_site.client(Scope.READ, tenant="acme"),
        await own_site.client(Scope.ADMIN),
        await own_site.former_client(Scope.READ, Scope.MACHINE, tenant="acme"),
    )
    await own_site.cell.pause("cell", because="upkeep", by="test")
    await own_site.cell.resume("cell", by="test")

    async def told(client: Client) -> set[str]:
        return {one["kind"].partition(".")[0] for one in (await client.get("/v1/events?limit=1000")).body["events"]}

    assert await told(admin) == {"cell", "document"}
    assert await told(everybody) == {"cell"}
    assert await told(one) == set()
    assert await told(keeper) == set()
    foreign = await one.get("/v1/events?tenant=other")
    assert (foreign.status, foreign.code) == (403, "NS_TENANT_FOREIGN")


async def test_whoever_comes_with_an_id_that_is_too_old_is_told_what_is_missing(own_site: Site) -> None:
    client = await own_site.client(Scope.SUBMIT, Scope.READ)
    first = await client.submit()
    page = (await client.get(f"/v1/events?job={first}")).body
    (known,) = [one["id"] for one in page["events"]]
    for _ in range(3):
        await client.submit()
    await committed(own_site)
    await prune(own_site.serve.history, cell=own_site.cell.name, older_than_ms=time.time_ns() // 1_000_000 + 60_000)
    last = await client.submit()
    async with listening(client, "/v1/events", after=known) as stream:
        gap = await stream.until(lambda one: one.name == "gap")
        assert (gap.data["after"], gap.data["count"], gap.data["reason"]) == (known, 3, "forgotten")
        await stream.until(lambda one: one.is_change and one.data["subject"] == last)
    page = (await client.get(f"/v1/events?cursor={known}")).body
    assert [(one["after"], one["count"]) for one in page["missing"]] == [(known, 3)]
    begin = (await client.get("/v1/events")).body
    assert begin["missing"] == []  # whoever names no id misses nothing


async def test_a_key_that_is_revoked_hears_nothing_more(own_site: Site) -> None:
    client = await own_site.client(Scope.READ)
    async with listening(client, "/v1/events") as stream:
        await stream.until(lambda one: one.id != "")
        (view,) = await own_site.keys.views()
        await own_site.keys.revoke(view.id, by="test")
        closed = await stream.until(lambda one: one.name == "closed")
        assert closed.data["code"] == "NS_KEY_UNKNOWN"
        assert await stream.rest() == []


async def test_two_brokers_of_a_cell_tell_the_same(own_site: Site, http_server: RunningServer, tmp_path: Path) -> None:
    client = await own_site.client(Scope.SUBMIT, Scope.READ)
    async with opened(http_server, tmp_path, cell=own_site.cell.name) as other:
        elsewhere = other.stranger(client.key)
        async with listening(client, "/v1/events") as here, listening(elsewhere, "/v1/events") as there:
            await here.until(lambda one: one.id != "")
            await there.until(lambda one: one.id != "")
            jobs = [await client.submit() for _ in range(3)]
            for stream in (here, there):
                await stream.until(lambda one: one.is_change and one.data["subject"] == jobs[-1])
            changes = [[one for one in s.heard if one.is_change] for s in (here, there)]
    assert [one.data["subject"] for one in changes[0]] == jobs
    assert changes[0] == changes[1]


async def test_a_broker_that_stops_says_so_and_another_one_goes_on(
    own_site: Site, http_server: RunningServer, tmp_path: Path
) -> None:
    client = await own_site.client(Scope.SUBMIT, Scope.READ)
    async with contextlib.AsyncExitStack() as stack:
        async with opened(http_server, tmp_path, cell=own_site.cell.name) as other:
            elsewhere = own_site.stranger(client.key)
            elsewhere.url = other.url
            stream = await stack.enter_async_context(listening(elsewhere, "/v1/events"))
            began = await stream.until(lambda one: one.id != "")
        closed = await stream.until(lambda one: one.name == "closed")
        assert (closed.data["code"], closed.data["retryable"]) == ("NS_FEED_ENDED", True)
    job = await client.submit()
    async with listening(client, "/v1/events", after=began.id) as again:
        assert (await again.change("job.submitted")).data["subject"] == job


async def test_a_key_has_so_many_streams_and_their_places_are_free_again(
    own_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StreamPlaces, "expect", _two_at_most)
    client = await own_site.client(Scope.READ)
    async with listening(client, "/v1/events") as one:
        await one.until(lambda heard: heard.id != "")
        async with listening(client, "/v1/events") as two:
            await two.until(lambda heard: heard.id != "")
            async with listening(client, "/v1/events") as three:
                assert (three.status, three.headers["Retry-After"]) == (503, "1")

    async def is_free() -> bool:
        async with listening(client, "/v1/events") as again:
            return again.status == 200

    await eventually(is_free, what="the places of streams that were left are free")


def _two_at_most(places: StreamPlaces, key_id: str) -> None:
    if places._taken[key_id] >= 2:
        raise TooManyStreams(2, whose="this key")
