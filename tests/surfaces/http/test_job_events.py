"""What happened to a job, and what happens: each change once and in order, progress between them, and an end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from northstar.domain.api_keys import Scope
from northstar.domain.progress import Progress
from tests.servers import RunningServer, eventually
from tests.surfaces.http.site import Client, Site
from tests.surfaces.http.site import site as opened
from tests.surfaces.http.work import Machine, kinds, listening, machine

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("job-events")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def busy_site(http_server: RunningServer, folder: Path) -> AsyncIterator[Site]:
    async with opened(http_server, folder) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def client(busy_site: Site) -> Client:
    return await busy_site.client(Scope.SUBMIT, Scope.READ, tenant=busy_site.new_tenant())


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def worker(busy_site: Site, folder: Path) -> AsyncIterator[Machine]:
    async with machine(busy_site, folder) as one:
        yield one


async def test_a_job_is_followed_from_its_submission_to_its_end_and_then_the_stream_ends(
    client: Client, worker: Machine
) -> None:
    job = await client.submit()
    async with listening(client, f"/v1/jobs/{job}/events") as stream:
        assert (stream.status, stream.headers["Content-Type"]) == (200, "text/event-stream; charset=utf-8")
        submitted = await stream.change("job.submitted")
        assert submitted.data["tenant"] == client.tenant
        assert submitted.id == submitted.data["id"]
        (claimed,) = await worker.take(job)
        started = await stream.change("job.started")
        assert "token" not in started.data["data"]
        await worker.finish(claimed)
        rest = await stream.rest()
    assert kinds(rest) == ["succeeded"]
    numbers = [one.data["number"] for one in stream.heard if one.is_change]
    assert numbers == list(range(1, len(numbers) + 1))


async def test_progress_and_text_come_between_start_and_end_without_ids(client: Client, worker: Machine) -> None:
    job = await client.submit()
    (claimed,) = await worker.take(job)
    async with listening(client, f"/v1/jobs/{job}/events") as stream:
        await stream.change("job.started")

        async def is_heard() -> bool:
            return await worker.say(claimed, Progress(phase="running", step=1, steps=4)) > 0

        await eventually(is_heard, what="somebody listens to the progress")
        first = await stream.until(lambda one: one.name == "progress")
        assert (first.id, first.data) == ("", {"phase": "running", "step": 1, "steps": 4})
        await worker.say(claimed, Progress(phase="running", tokens="Once upon "))
        await worker.say(claimed, Progress(phase="running", tokens="a time"))
        await worker.finish(claimed)
        rest = await stream.rest()
    assert "".join(one.data["text"] for one in rest if one.name == "text") == "Once upon a time"
    assert rest[-1].data["kind"] == "job.succeeded"


async def test_a_stream_goes_on_after_the_last_id_and_repeats_nothing(client: Client, worker: Machine) -> None:
    job = await client.submit()
    (claimed,) = await worker.take(job)
    async with listening(client, f"/v1/jobs/{job}/events") as stream:
        submitted = await stream.change("job.submitted")
    await worker.fail(claimed)
    async with listening(client, f"/v1/jobs/{job}/events", after=submitted.id) as again:
        rest = await again.rest()
    assert kinds(rest) == ["started", "failed"]
    async with listening(client, f"/v1/jobs/{job}/events", after=rest[-1].id) as done:
        assert done.status == 204  # a browser that is told so does not come again


async def test_a_job_that_is_replayed_is_followed_on(client: Client, worker: Machine) -> None:
    job = await client.submit()
    (claimed,) = await worker.take(job)
    await worker.fail(claimed)
    await client.post(f"/v1/jobs/{job}/retry")
    async with listening(client, f"/v1/jobs/{job}/events") as stream:
        await stream.change("job.replayed")
        await client.post(f"/v1/jobs/{job}/cancel")
        assert kinds(await stream.rest()) == ["canceled"]
    assert kinds(stream.heard) == ["submitted", "started", "failed", "replayed", "canceled"]


async def test_the_list_says_it_in_words_and_page_by_page(client: Client, worker: Machine) -> None:
    job = await client.submit()
    (claimed,) = await worker.take(job)
    await worker.finish(claimed)
    first = (await client.get(f"/v1/jobs/{job}/events?limit=1")).body
    assert [one["event"] for one in first["events"]] == ["submitted"]
    assert first["events"][0]["what"] == f"submitted by {client.tenant}, queued with priority 60"
    assert first["more"] is True
    second = (await client.get(f"/v1/jobs/{job}/events?cursor={first['cursor']}")).body
    assert [one["event"] for one in second["events"]][-2:] == ["started", "succeeded"]
    assert second["more"] is False
    third = (await client.get(f"/v1/jobs/{job}/events?cursor={second['cursor']}")).body
    assert (third["events"], third["cursor"]) == ([], second["cursor"])


@pytest.mark.parametrize("given", ["nonsense", "1", "1-", "-1", "1-2-3", "9" * 20 + "-1", "1-٣"])
async def test_what_is_no_id_of_an_event_is_refused_by_name(client: Client, given: str) -> None:
    job = await client.submit()
    answer = await client.get(f"/v1/jobs/{job}/events", params={"cursor": given})
    assert (answer.status, answer.code) == (422, "NS_EVENT_ID_INVALID")


async def test_an_id_from_the_future_is_of_another_cell(client: Client) -> None:
    job = await client.submit()
    async with listening(client, f"/v1/jobs/{job}/events", after="1-999999999") as stream:
        assert stream.status == 409


async def test_jobs_of_others_have_no_events(client: Client, busy_site: Site) -> None:
    job = await client.submit()
    other = await busy_site.client(Scope.READ, tenant=busy_site.new_tenant())
    assert (await other.get(f"/v1/jobs/{job}/events")).status == 404
    async with listening(other, f"/v1/jobs/{job}/events") as stream:
        assert stream.status == 404
    assert (await client.get("/v1/jobs/never/events")).status == 404


@pytest.mark.parametrize("path", ["", "/events"])
async def test_nobody_listens_without_a_key_that_reads(busy_site: Site, client: Client, path: str) -> None:
    job = await client.submit()
    submitter = await busy_site.client(Scope.SUBMIT, tenant=client.tenant)
    assert (await submitter.get(f"/v1/jobs/{job}{path}")).status == 403
    assert (await busy_site.stranger().get(f"/v1/jobs/{job}{path}")).status == 401
