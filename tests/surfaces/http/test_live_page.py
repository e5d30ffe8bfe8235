"""The live page without a browser: who may look, and what it says before any script runs."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from northstar.broker import stream_places
from northstar.broker.event_errors import TooManyStreams
from northstar.broker.keys import Keys
from northstar.domain.api_keys import Caller, Scope
from northstar.domain.errors import Unavailable
from northstar.domain.event_stream import EventStream
from northstar.domain.live_fleet import LiveFleet, LiveTotals
from northstar.surfaces.http.live import changes
from tests.servers import eventually
from tests.surfaces.http.site import Client, Site

pytestmark = pytest.mark.asyncio(loop_scope="session")


def watching(client: Client) -> dict[str, Any]:
    """As a browser that has logged in: a cookie, and no header."""
    return {"headers": {"Cookie": f"northstar_key={client.key}", "Authorization": ""}, "allow_redirects": False}


async def test_a_stranger_is_asked_for_a_key_and_comes_back(site: Site) -> None:
    stranger = site.stranger()
    answer = await stranger.get("/live", allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (303, "/live/login?to=/live")
    page = await stranger.get("/live/login?to=/live/jobs/x")
    assert page.status == 200
    assert b'name="to" value="/live/jobs/x"' in page.body
    reader = await site.client(Scope.READ)
    entered = await stranger.post("/live/login", data={"key": reader.key, "to": "/live/jobs/x"}, allow_redirects=False)
    assert (entered.status, entered.headers["Location"]) == (303, "/live/jobs/x")
    kept = entered.headers["Set-Cookie"]
    assert all(word in kept for word in ("HttpOnly", "SameSite=strict", "Path=/live"))


@pytest.mark.parametrize(
    "to", ["https://evil.example", "//evil.example", "/live/../x", "/live\\x", "javascript:x", "/live/jobs/日本"]
)
async def test_the_way_back_leads_nowhere_else(site: Site, to: str) -> None:
    reader = await site.client(Scope.READ)
    entered = await site.stranger().post("/live/login", data={"key": reader.key, "to": to}, allow_redirects=False)
    assert entered.headers["Location"] == "/live"


async def test_a_wrong_key_is_not_kept_and_says_why(site: Site) -> None:
    submitter = await site.client(Scope.SUBMIT)
    for key, code in (("nonsense", b"NS_KEY_UNREADABLE"), (submitter.key, b"NS_SCOPE_MISSING")):
        answer = await site.stranger().post("/live/login", data={"key": key}, allow_redirects=False)
        assert answer.status == 403
        assert code in answer.body
        assert "Set-Cookie" not in answer.headers
        assert key.encode() not in answer.body


async def test_the_page_tells_of_the_queue_without_any_script(own_site: Site) -> None:
    client = await own_site.client(Scope.SUBMIT, tenant="acme")
    job = await client.submit(user="<script>alert(1)</script>")
    page = await own_site.stranger().get("/live", **watching(await own_site.client(Scope.READ)))
    assert page.status == 200
    text = page.body.decode()
    assert f'<a href="/live/jobs/{job}">{job}</a>' in text
    assert "no machine is here" in text
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "<noscript>" in text


async def test_a_key_of_one_tenant_reads_the_stories_of_its_own_jobs_alone(own_site: Site) -> None:
    ours, theirs = [await own_site.client(Scope.SUBMIT, Scope.READ, tenant=name) for name in ("acme", "umbrella")]
    job = await ours.submit()
    stranger = own_site.stranger()
    story = await stranger.get(f"/live/jobs/{job}", **watching(ours))
    assert story.status == 200
    assert "What happened" in story.body.decode()
    foreign = await stranger.get(f"/live/jobs/{job}", **watching(theirs))
    assert foreign.status == 404
    assert b"NS_NO_SUCH_JOB" in foreign.body
    assert (await stranger.get("/live", **watching(ours))).status == 303


async def test_watching_takes_a_place_of_streams_until_it_ends(own_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_places.StreamPlaces, "expect", _one_at_most)
    watcher, other = await own_site.client(Scope.READ), await own_site.client(Scope.READ)
    url, http = f"{own_site.url}/live/stream", own_site.stranger().http
    async with asyncio.timeout(20):
        async with http.get(url, **watching(watcher)) as answer:
            assert answer.headers["Content-Type"].startswith("text/event-stream")
            await answer.content.readline()
            refused = await own_site.stranger().get("/live/stream", **watching(watcher))
            assert (refused.status, b"NS_TOO_MANY_STREAMS" in refused.body) == (503, True)
            async with http.get(url, **watching(other)) as theirs:
                assert theirs.status == 200

        async def is_free() -> bool:
            async with http.get(url, **watching(watcher)) as again:
                return again.status == 200

        await eventually(is_free, what="the place is free again")


def _one_at_most(places: stream_places.StreamPlaces, key_id: str) -> None:
    if places._taken[key_id] >= 1:
        raise TooManyStreams(1, whose="this key")


async def test_what_many_watch_is_made_once_for_all_who_saw_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[object, object]] = []
    whole = changes.change

    def counted(before: LiveFleet | None, now: LiveFleet) -> changes.Change:
        made.append((before, now))
        return whole(before, now)

    monkeypatch.setattr(changes, "change", counted)
    told, first, second = changes.Told(), a_look(at_ms=1), a_look(at_ms=2)
    assert len({told.of(None, first) for _ in range(100)}) == 1
    assert len({told.of(first, second) for _ in range(100)}) == 1
    assert told.of(None, second) != told.of(first, second)
    assert made == [(None, first), (first, second), (None, second)]


def a_look(*, at_ms: int) -> LiveFleet:
    counts = dict.fromkeys(LiveTotals.__struct_fields__, 0) | {"at_ms": at_ms}
    return LiveFleet(cell="c", totals=LiveTotals(**counts), pools=(), machines=(), lanes=(), more_lanes=0, pauses=())


async def test_the_stream_tells_all_once_and_then_what_has_changed(own_site: Site) -> None:
    watcher, client = await own_site.client(Scope.READ), await own_site.client(Scope.SUBMIT)
    options = watching(watcher)
    parser, news = EventStream(), []
    async with asyncio.timeout(10), own_site.stranger().http.get(f"{own_site.url}/live/stream", **options) as answer:
        async for chunk in answer.content.iter_any():
            news += [msgspec.json.decode(event.data) for event in parser.feed(chunk) if event.name == "fleet"]
            if len(news) == 1 and not news[0]["lanes"]:
                await client.submit()
            if news and news[-1]["lanes"]:
                break
    assert (news[0]["whole"], news[-1]["whole"]) == (True, False)
    assert news[-1]["totals"]["waiting"] == 1


async def test_a_page_of_another_site_logs_nobody_in_or_out(site: Site) -> None:
    reader = await site.client(Scope.READ)
    for path in ("/live/login", "/live/logout"):
        answer = await site.stranger().post(
            path, data={"key": reader.key}, headers={"Sec-Fetch-Site": "cross-site"}, allow_redirects=False
        )
        assert answer.status == 403
        assert b"NS_ASKED_FROM_ELSEWHERE" in answer.body
        assert "Set-Cookie" not in answer.headers


async def test_a_cell_that_does_not_answer_is_no_wrong_key(own_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = await own_site.client(Scope.READ)

    async def gone(_self: Keys, _text: str) -> Caller:
        raise Unavailable("the server does not answer")

    monkeypatch.setattr(Keys, "authenticate", gone)
    answer = await own_site.stranger().post("/live/login", data={"key": reader.key}, allow_redirects=False)
    assert answer.status == 503
    assert answer.headers["Retry-After"] == "1"
    assert b"not taken" not in answer.body
