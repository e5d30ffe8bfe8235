"""Lists and changes beside thousands of others' jobs: what is nobody's business costs little, and whatever moves leaves nobody out."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import pytest

from northstar.broker import job_lists
from northstar.domain.api_keys import Scope
from northstar.store.cell import Cell
from tests.surfaces.http.machinery import failed, machine, remembered
from tests.surfaces.http.site import SERVICE, Client, Site

pytestmark = pytest.mark.asyncio(loop_scope="session")


def _asks_for_a_list() -> bool:
    """Whether who reads is at a list: brokers look at jobs for reasons of their own, those of other cells in this process too."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__") != job_lists.__name__:
        frame = frame.f_back
    return frame is not None


class Looks:
    """What lists and changes of many read of jobs, and how often."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls = self.records = self.bodies = 0
        real = Cell.inspect

        async def counted(cell: Cell, ids: Any, **kinds: Any) -> Any:
            if _asks_for_a_list():
                self.calls += 1
                self.records += len(ids)
                self.bodies += len(ids) if kinds.get("bodies") else 0
            return await real(cell, ids, **kinds)

        monkeypatch.setattr(Cell, "inspect", counted)


async def two(site: Site) -> tuple[Client, Client]:
    ours, theirs = [await site.client(Scope.SUBMIT, Scope.READ, tenant=name) for name in ("ours", "theirs")]
    return ours, theirs


async def fill(client: Client, count: int, **job: Any) -> None:
    for first in range(0, count, 500):
        batch = [{"service": SERVICE} | job for _ in range(min(500, count - first))]
        assert (await client.post("/v1/jobs/batch", batch)).status == 202


async def all_pages(client: Client, query: str) -> list[str]:
    """Every id that a list gives, page by page."""
    seen: list[str] = []
    cursor = ""
    for _ in range(100):
        page = (await client.get(f"/v1/jobs?{query}&cursor={cursor}")).body
        seen += [one["id"] for one in page["jobs"]]
        cursor = page["cursor"]
        if not cursor:
            return seen
    raise AssertionError("the list does not end")


async def test_a_tenant_without_jobs_passes_over_those_of_others_in_large_steps_and_reads_no_bodies(
    own_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = await two(own_site)
    await fill(theirs, 1_200)
    looks = Looks(monkeypatch)
    assert await all_pages(ours, "limit=1") == []
    assert (looks.calls <= 8, looks.bodies) == (True, 0)
    await ours.submit(id="one")
    looks.bodies = 0
    assert await all_pages(ours, "limit=1") == ["one"]
    assert looks.bodies == 1


async def test_pages_among_others_jobs_leave_nobody_out_and_tell_nobody_twice(own_site: Site) -> None:
    ours, theirs = await two(own_site)
    wanted = []
    for number in range(12):
        await fill(theirs, 30)
        wanted.append(await ours.submit(id=f"w{number}"))
    for limit in (1, 5, 11, 12, 500):
        assert await all_pages(ours, f"limit={limit}") == wanted
    await ours.post("/v1/jobs/changes", {"action": "cancel", "filter": {}})
    await theirs.post("/v1/jobs/changes", {"action": "cancel", "filter": {}})
    for limit in (1, 5, 12):
        assert sorted(await all_pages(ours, f"limit={limit}")) == sorted(wanted)


async def test_a_job_that_leaves_the_list_of_the_finished_leaves_nobody_else_out(own_site: Site) -> None:
    ours, _ = await two(own_site)
    link = await machine(own_site, "m")
    for number in range(4):
        await ours.submit(service="works", id=f"f{number}")
        await failed(link)
    first = (await ours.get("/v1/jobs?limit=2")).body
    assert [one["id"] for one in first["jobs"]] == ["f3", "f2"]
    assert (await ours.post("/v1/jobs/f3/retry")).status == 200
    second = (await ours.get(f"/v1/jobs?limit=2&cursor={first['cursor']}")).body
    assert [one["id"] for one in second["jobs"]] == ["f1", "f0"]


async def test_a_change_of_many_looks_only_where_those_are_that_it_can_mean(
    own_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = await two(own_site)
    await fill(theirs, 1_500)
    cancelled = await theirs.post("/v1/jobs/changes", {"action": "cancel", "filter": {}, "limit": 10_000})
    assert (len(cancelled.body["jobs"]), cancelled.body["more"]) == (1_500, False)
    await remembered(own_site)  # who writes the history down looks at finished jobs too
    await ours.submit(id="one")
    looks = Looks(monkeypatch)
    for action, more in (("cancel", {}), ("reprioritise", {"priority": 1}), ("retry", {})):
        change = {"action": action, "filter": {}, "dry_run": True} | more
        meant = (await ours.post("/v1/jobs/changes", change)).body
        assert [one["id"] for one in meant["jobs"]] == ([] if action == "retry" else ["one"])
    assert (looks.records, looks.bodies) == (2, 0)


async def test_retry_by_filter_means_those_that_failed_for_good(own_site: Site) -> None:
    ours, theirs = await two(own_site)
    link = await machine(own_site, "m")
    for client, name in ((ours, "o1"), (theirs, "t1"), (ours, "o2")):
        await client.submit(service="works", id=name)
        await failed(link)
    retried = (await ours.post("/v1/jobs/changes", {"action": "retry", "filter": {"service": "works"}})).body
    assert sorted((one["id"], one["outcome"]) for one in retried["jobs"]) == [("o1", "ok"), ("o2", "ok")]
    assert (await theirs.get("/v1/jobs/t1")).body["status"] == "failed"


async def test_a_change_of_many_says_that_there_may_be_more_where_it_has_looked_at_enough(
    own_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("northstar.broker.job_lists.MOST_MEANT_READ", 500)
    ours, theirs = await two(own_site)
    await fill(theirs, 600, priority=90)
    await ours.submit()
    meant = (await ours.post("/v1/jobs/changes", {"action": "cancel", "filter": {}})).body
    assert meant == {"jobs": [], "more": True}
