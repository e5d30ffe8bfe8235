"""Two tenants at work beside each other: whatever one of them asks, and however far it pages, nothing of the other is in any answer.

The questions come from the application's table of routes, so a new one is asked with the day on which it is there. Everything of the other
tenant is called after it, down to its model, its file and its reason for canceling.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
import pytest_asyncio

from northstar.broker import dead_letters, job_lists
from northstar.domain.api_keys import Scope
from northstar.store.messages import Failure
from northstar.surfaces.http.description.examples import EXAMPLES
from northstar.surfaces.http.description.routes import Route
from tests.servers import RunningServer, eventually
from tests.surfaces.http.machinery import machine as small_machine
from tests.surfaces.http.machinery import remembered, taken
from tests.surfaces.http.route_table import BEHIND_A_KEY, ROUTES, SOCKETS, name_of
from tests.surfaces.http.site import Client, Site
from tests.surfaces.http.site import site as opened
from tests.surfaces.http.work import SOON_S, listening, machine

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: What everything of the other tenant is called.
THEM = "rival"
ORDER = {
    "model": f"{THEM}-model.safetensors",
    "sources": [f"https://{THEM}.example/x"],
    "sha256": "0" * 64,
    "size_bytes": 5,
}
#: One of each kind, of both tenants; `again` was theirs, and is ours.
OURS = ("ours-waiting", "ours-done", "ours-dead", "ours-canceled", "again")
THEIRS = tuple(f"{THEM}-{kind}" for kind in ("waiting", "done", "dead", "canceled"))
#: More pages than any list here has.
MOST_PAGES = 60
_STREAM = "text/event-stream"


class World(msgspec.Struct):
    site: Site
    ours: Client
    theirs: Client


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(http_server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("two-tenants")
    async with opened(http_server, folder) as site:
        ours, theirs = [await site.client(Scope.SUBMIT, Scope.READ, tenant=name) for name in ("acme", f"{THEM}-inc")]
        found = World(site, ours, theirs)
        await _fill(found, folder)
        yield found


async def _fill(world: World, folder: Path) -> None:
    site, ours, theirs = world.site, world.ours, world.theirs
    operator = await site.client(Scope.ADMIN)
    breaking = await small_machine(site, "ours-waiting", service="breaks")  # it has the name of a job of ours
    async with machine(site, folder) as worker:
        for client, name in ((theirs, THEM), (ours, "ours")):
            for number in range(3):  # more of each than one page of one
                more = {"user": f"{name}-user", "payload": {"prompt": f"{name}-prompt"}}
                suffix = f"-{number}" if number else ""
                await client.submit(id=f"{name}-done{suffix}", **more)
                (job,) = await worker.take(f"{name}-done{suffix}")
                kept = await worker.keep(job, f"{name}.txt", f"{name}-content".encode(), media_type="text/plain")
                await worker.finish(job, {"outputs": [kept]})
                await client.submit(id=f"{name}-dead{suffix}", service="breaks", **more)
                dead = await taken(breaking)
                told = Failure(dead.id, dead.token, "NS_ENGINE_REJECTED", f"{name}-message", False, 0.0)
                await breaking.fail([told])
                await client.submit(id=f"{name}-canceled{suffix}", **more)
                await client.post(f"/v1/jobs/{name}-canceled{suffix}/cancel", {"because": f"{name}-reason"})
                await client.submit(id=f"{name}-waiting{suffix}", **more)
    assert (await operator.post("/v1/machines/ours-waiting/models/fetch", ORDER)).status < 300
    await theirs.submit(id="again", retention_s=1, user=f"{THEM}-user")
    await theirs.post("/v1/jobs/again/cancel", {"because": f"{THEM}-reason"})

    async def is_forgotten() -> bool:
        return (await theirs.get("/v1/jobs/again")).status == 404

    await eventually(is_forgotten, what="their job is forgotten", within_s=30.0)
    await ours.submit(id="again")
    await remembered(site)


def expect_nothing(told: str, *, asked: str = "") -> None:
    """Nothing of theirs is told, but for the very name that was asked for."""
    told = told.replace(asked, "") if asked else told
    for name in (THEM, "order.given", "machine.registered"):  # what happened to the machine of that name
        at = told.find(name)
        assert at < 0, told[max(0, at - 200) : at + 200]


def taken_apart(cursor: str) -> str:
    """All that a cursor may say to whoever decodes it."""
    try:
        return cursor + base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("latin-1")
    except (binascii.Error, ValueError):
        return cursor


def is_of_job(route: Route) -> bool:
    """Whether its path names a job."""
    return "{job}" in route.path or "/job/{name}" in route.path


def path_of(route: Route, job: str, name: str) -> str:
    name = job if "/job/{name}" in route.path else name
    return re.sub(r"\{(\w+)\}", lambda one: {"job": job, "name": name}.get(one[1], "something"), route.path)


async def asked_whole(client: Client, path: str) -> int:
    """Ask page by page until there is no more; gives the status of the first answer."""
    cursor, first = "", 0
    for _ in range(MOST_PAGES):
        answer = await client.get(path, params={"limit": "1", **({"cursor": cursor} if cursor else {})})
        first = first or answer.status
        expect_nothing(str(answer.body) + str(answer.headers))
        after = answer.body.get("cursor") if isinstance(answer.body, dict) else None
        if not after or after == cursor:
            return first
        cursor = after
        expect_nothing(taken_apart(cursor))
    raise AssertionError(f"{path} has no end")


#: Those that a key with `submit` and `read` may ask.
LOOKS = [one for one in BEHIND_A_KEY if one.method == "GET" and one.scope in {Scope.READ, Scope.SUBMIT}]


@pytest.mark.parametrize("route", LOOKS, ids=name_of)
async def test_no_look_shows_anything_of_theirs(world: World, route: Route, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (job_lists, dead_letters):
        monkeypatch.setattr(module, "_MOST_READ", 1)  # so that pages end, and begin, at jobs of theirs
    statuses = set()
    for job in OURS if is_of_job(route) else ("",):
        path = path_of(route, job, "ours.txt")
        answer = await world.ours.get(path)
        statuses.add(answer.status)
        expect_nothing(str(answer.body) + str(answer.headers))
        if any(one.name == "limit" for one in route.parameters):
            await asked_whole(world.ours, path)
    for job in THEIRS if is_of_job(route) else ():
        answer = await world.ours.get(path_of(route, job, f"{THEM}.txt"))
        assert answer.status == 404
        expect_nothing(str(answer.body), asked=job)
    # It is answered somewhere, so that this has asked for more than a refusal.
    one_thing = {one for one in re.findall(r"\{(\w+)\}", route.path) if one not in {"job", "name"}}
    assert 200 in statuses or statuses <= {403} or one_thing, statuses


@pytest.mark.parametrize("route", [one for one in BEHIND_A_KEY if one not in LOOKS], ids=name_of)
async def test_no_change_and_no_refusal_shows_anything_of_theirs(world: World, route: Route) -> None:
    body: Any = next(iter(EXAMPLES.get(route.body, {}).values()), {}) if route.body is not None else None
    for job in THEIRS if is_of_job(route) else ("",):
        path = path_of(route, job, "something")
        timeout = aiohttp.ClientTimeout(total=20)
        answer = await world.ours.ask(route.method, path, json=body, timeout=timeout)
        expect_nothing(str(answer.body), asked=job)
        assert answer.status >= 400 or not job
    for ids in (list(THEIRS), ["again"]):
        many = {"action": "cancel", "ids": ids, "dry_run": ids == ["again"]}
        outcome = (await world.ours.post("/v1/jobs/changes", many)).body
        for job in THEIRS:
            outcome = str(outcome).replace(job, "")
        expect_nothing(str(outcome))
    everything = (await world.ours.post("/v1/jobs/changes", {"action": "retry", "filter": {}, "dry_run": True})).body
    expect_nothing(str(everything))
    assert (await world.theirs.get(f"/v1/jobs/{THEM}-waiting")).body["status"] == "queued"


@pytest.mark.parametrize("query", [f"tenant={THEM}-inc", f"user={THEM}-user", f"job={THEM}-done", "by=job", "by=user"])
@pytest.mark.parametrize("route", [one for one in LOOKS if "{" not in one.path], ids=name_of)
async def test_no_filter_finds_anything_of_theirs(world: World, route: Route, query: str) -> None:
    answer = await world.ours.get(f"{route.path}?{query}")
    expect_nothing(str(answer.body), asked=query.partition("=")[2] if THEM in query else "")


PAGES = [one for one in ROUTES if one.is_guarded and one.scope is None and one.method == "GET"]


@pytest.mark.parametrize("route", PAGES, ids=name_of)
async def test_no_page_shows_anything_of_theirs(world: World, route: Route) -> None:
    headers = {"Cookie": f"northstar_key={world.ours.key}", "Authorization": ""}
    for job in (*OURS, *THEIRS) if is_of_job(route) else ("",):
        path = path_of(route, job, "")
        answer = await world.site.stranger().get(path, headers=headers, allow_redirects=False)
        expect_nothing(str(answer.body or ""), asked=job if job in THEIRS else "")
        assert answer.status == (200 if job in OURS else 404 if job else 303)


@pytest.mark.parametrize("route", [one for one in LOOKS if _STREAM in one.media_types], ids=name_of)
async def test_no_stream_tells_anything_of_theirs(world: World, route: Route) -> None:
    ours = world.ours
    for job in ("ours-done", "ours-dead", "ours-canceled") if is_of_job(route) else ():
        async with listening(ours, path_of(route, job, "")) as stream:
            heard = await stream.rest()
        assert heard
        expect_nothing(str(heard))
    if is_of_job(route):
        return
    async with listening(ours, f"{route.path}?begin=oldest") as stream:
        await world.theirs.submit()
        last = await ours.submit()
        await stream.until(lambda one: bool(one.data) and one.data.get("subject") == last)
    assert len(stream.heard) > len(OURS)
    expect_nothing(str(stream.heard))


def _tells(heard: list[str], job: str) -> bool:
    return any(f'"subject":"{job}"' in text for text in heard)


async def test_no_socket_tells_anything_of_theirs(world: World) -> None:
    assert [one.path for one in SOCKETS if one.path.startswith("/v1/")] == ["/v1/live"]
    headers = {"Authorization": f"Bearer {world.ours.key}"}
    heard: list[str] = []
    async with world.site._http.ws_connect(f"{world.site.url}/v1/live", headers=headers) as socket:
        await socket.send_json({"type": "subscribe", "id": "all", "filter": {}, "after": "0-0"})
        for number, job in enumerate((*OURS, *THEIRS)):
            await socket.send_json({"type": "subscribe", "id": f"s{number}", "job": job})
        await world.theirs.submit()
        last = await world.ours.submit()
        async with asyncio.timeout(SOON_S):
            while not (_tells(heard, last) and sum("NS_NO_SUCH_JOB" in text for text in heard) == len(THEIRS)):
                heard.append((await socket.receive()).data)
    for text in heard:
        told = text
        if '"ended"' in text:
            for job in THEIRS:
                told = told.replace(job, "")
        expect_nothing(told)
