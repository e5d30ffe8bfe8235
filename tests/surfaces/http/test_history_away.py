"""A history that is away costs no job its answer: what was done is told as done, and jobs are told without their machine."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from northstar.broker.job_desk import JobDesk
from northstar.broker.job_waits import JobWaits
from northstar.domain.api_keys import Scope
from northstar.store.errors import ValkeyGone
from northstar.store.history import HistoryDatabase
from northstar.store.history.errors import HistoryGone
from tests.surfaces.http.machinery import done, failed, machine, remembered
from tests.surfaces.http.site import SERVICE, Client, Site

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def at_work(site: Site) -> Client:
    """A tenant with a job `over`, one that `broke`, and one that waits: `waits`."""
    client = await site.client(Scope.SUBMIT, Scope.READ, tenant="acme")
    link = await machine(site, "m1")
    await client.submit(service="works", id="over")
    await done(link)
    await client.submit(service="works", id="broke")
    await failed(link)
    await client.submit(service=SERVICE, id="waits", priority=30)
    await remembered(site)
    return client


def goes(monkeypatch: pytest.MonkeyPatch) -> None:
    async def gone(_database: HistoryDatabase, _work: Any) -> Any:
        raise HistoryGone(place="postgresql://db", reason="for this test")

    monkeypatch.setattr(HistoryDatabase, "read", gone)


async def test_jobs_are_looked_at_and_changed_without_the_machines_that_ran_them(
    own_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await at_work(own_site)
    assert (await client.get("/v1/jobs/over")).body["machine"] == "m1"
    goes(monkeypatch)
    over = await client.get("/v1/jobs/over")
    assert (over.status, over.body["status"], over.body["machine"]) == (200, "succeeded", "")
    listed = await client.get("/v1/jobs")
    assert {one["id"] for one in listed.body["jobs"]} == {"over", "broke", "waits"}
    cancelled = await client.post("/v1/jobs/waits/cancel")
    assert (cancelled.status, cancelled.body["status"]) == (200, "canceled")
    assert (await client.post("/v1/jobs/broke/retry")).status == 200


async def test_a_history_that_hangs_is_waited_for_a_moment(own_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    client = await at_work(own_site)

    async def hangs(_database: HistoryDatabase, _work: Any) -> Any:
        await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(HistoryDatabase, "read", hangs)
    monkeypatch.setattr("northstar.broker.job_past._SOON_S", 0.05)
    over = await client.get("/v1/jobs/over")
    assert (over.status, over.body["machine"]) == (200, "")


@pytest.mark.parametrize("part", ["the wait", "the look afterwards"])
async def test_a_submission_that_was_taken_is_no_error_whatever_fails_after_it(
    own_site: Site, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    client = await own_site.client(Scope.SUBMIT, Scope.READ, tenant="acme")

    async def fails(*_about: Any, **_more: Any) -> Any:
        raise ValkeyGone("for this test")

    async def is_over(*_about: Any, **_more: Any) -> bool:
        return True

    monkeypatch.setattr(JobWaits, "until_over", fails if part == "the wait" else is_over)
    monkeypatch.setattr(JobDesk, "get", fails)
    answer = await client.post("/v1/jobs", {"service": SERVICE, "id": "a"}, headers={"Prefer": "wait=5"})
    assert (answer.status, answer.body["id"], answer.headers["Location"]) == (202, "a", "/v1/jobs/a")


async def test_a_change_that_counts_is_answered_by_what_is_known_of_it_where_nobody_can_look_again(
    own_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await at_work(own_site)

    async def fails(*_about: Any, **_more: Any) -> Any:
        raise ValkeyGone("for this test")

    with monkeypatch.context() as patched:
        patched.setattr(JobDesk, "get", fails)
        changed = await client.ask("PATCH", "/v1/jobs/waits", json={"priority": 77})
        assert (changed.status, changed.body["priority"], changed.body["service"]) == (200, 77, SERVICE)
        cancelled = await client.post("/v1/jobs/waits/cancel", {"because": "no longer wanted"})
        assert (cancelled.status, cancelled.body["status"]) == (200, "canceled")
        assert cancelled.body["error"]["code"] == "NS_JOB_CANCELED"
        again = await client.post("/v1/jobs/broke/retry")
        assert (again.status, again.body["status"], again.body["attempts"], again.body["error"]) == (
            200,
            "queued",
            0,
            None,
        )
    found = {name: (await client.get(f"/v1/jobs/{name}")).body for name in ("waits", "broke")}
    assert (found["waits"]["status"], found["waits"]["error"]) == ("canceled", cancelled.body["error"])
    assert (found["broke"]["attempts"], found["broke"]["error"]) == (0, None)
