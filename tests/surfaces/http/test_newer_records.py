"""Jobs of a later version beside this one: their own answers say that they cannot be read, and nobody else's do."""

from __future__ import annotations

import msgspec
import pytest

from northstar.domain.api_keys import Scope
from northstar.store.messages import JobRecord
from tests.surfaces.http.machinery import failed, machine
from tests.surfaces.http.site import Client, Site

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def two(site: Site) -> tuple[Client, Client]:
    """A tenant whose failed job `newer` stands beside `plain`, and another one with `other`."""
    ours, theirs = [await site.client(Scope.SUBMIT, Scope.READ, tenant=name) for name in ("ours", "theirs")]
    link = await machine(site, "m")
    for client, name in ((ours, "newer"), (ours, "plain"), (theirs, "other")):
        await client.submit(service="works", id=name)
        await failed(link)
    return ours, theirs


async def rewrite(site: Site, **fields: str) -> None:
    """As a later version may keep it."""
    key = site.cell.keys["jobs"]
    stored = await site.cell.client.execute_command("HGET", key, "newer")
    record = msgspec.structs.replace(msgspec.msgpack.decode(stored, type=JobRecord), **fields)
    await site.cell.client.execute_command("HSET", key, "newer", msgspec.msgpack.encode(record))


async def test_a_body_that_cannot_be_read_is_left_out_with_a_reason_and_costs_nobody_else_anything(
    own_site: Site,
) -> None:
    ours, theirs = await two(own_site)
    await own_site.cell.client.execute_command("HSET", own_site.cell.keys["bodies"], "newer", '{"service": 5}')
    for path, name in (("/v1/jobs", "jobs"), ("/v1/dead-letters", "letters")):
        assert [one["id"] for one in (await theirs.get(path)).body[name]] == ["other"]
        told = {one["id"]: one for one in (await ours.get(path)).body[name]}
        assert set(told) == {"newer", "plain"}
        assert (told["newer"]["service"], told["plain"]["unreadable"]) == ("", "")
        assert "a later one wrote" in told["newer"]["unreadable"]
    job = await ours.get("/v1/jobs/newer")
    assert (job.status, job.body["status"], job.body["unreadable"] != "") == (200, "failed", True)
    assert (await ours.get("/v1/jobs/newer/decision")).status == 200
    refused = await ours.post("/v1/jobs/newer/retry")
    assert (refused.status, refused.code) == (409, "NS_JOB_UNREADABLE")
    many = await ours.post("/v1/jobs/changes", {"action": "retry", "filter": {}})
    assert {one["id"]: one["outcome"] for one in many.body["jobs"]} == {"newer": "NS_JOB_UNREADABLE", "plain": "ok"}


async def test_a_state_that_this_version_does_not_know_is_refused_for_that_job_alone(own_site: Site) -> None:
    ours, theirs = await two(own_site)
    await rewrite(own_site, status="hibernating")
    assert [one["id"] for one in (await theirs.get("/v1/jobs")).body["jobs"]] == ["other"]
    assert [one["id"] for one in (await ours.get("/v1/jobs")).body["jobs"]] == ["plain"]
    assert [one["id"] for one in (await ours.get("/v1/dead-letters")).body["letters"]] == ["plain"]
    answer = await ours.get("/v1/jobs/newer")
    assert (answer.status, answer.code) == (409, "NS_JOB_UNREADABLE")
    assert "hibernating" in answer.body["detail"]
