"""The SDK against a real server: a job from its submission to its end, and every refusal as a type."""

from __future__ import annotations

import pytest
import pytest_asyncio

from northstar.client import (
    AsyncClient,
    ClientNotConfigured,
    JobFailed,
    JobFilter,
    JobMalformed,
    JobRequest,
    KeyRefused,
    NotFound,
    RequestInvalid,
    RequestRefused,
    ServerUnavailable,
    WaitTooLong,
)
from northstar.client.patience import Patience
from northstar.domain.api_keys import KeyTerms, Scope
from tests.surfaces.http.site import SERVICE, Site

pytestmark = pytest.mark.asyncio(loop_scope="session")

HASTY = Patience(total_s=0.3, first_s=0.05)


async def key_of(site: Site, *scopes: Scope) -> str:
    terms = KeyTerms(name="sdk", scopes=scopes, tenant=site.new_tenant())
    return (await site.keys.make(terms, by="test")).key.reveal()


@pytest_asyncio.fixture(loop_scope="session")
async def north(site: Site):  # type: ignore[no-untyped-def]  # an async generator of a client
    async with AsyncClient(site.url, key=await key_of(site, Scope.SUBMIT, Scope.READ), patience=HASTY) as client:
        yield client


async def test_a_job_is_submitted_looked_at_changed_and_cancelled(north: AsyncClient) -> None:
    job = await north.submit(SERVICE, {"prompt": "x"}, priority=20)
    assert job.submitted is not None
    assert job.submitted.because
    assert await job.status() == "queued"
    place = (await job.look()).place
    assert place is not None
    assert place.position == 1
    assert (await job.reprioritise(70)).priority == 70
    assert (await job.cancel(because="enough")).status == "canceled"
    with pytest.raises(JobFailed, match="enough") as failed:
        await job.result(timeout_s=5)
    assert (failed.value.job.id, failed.value.reason) == (job.id, "NS_JOB_CANCELED")


async def test_many_at_once_are_listed_and_cancelled(north: AsyncClient) -> None:
    jobs = await north.submit_many([JobRequest(service=SERVICE, priority=n) for n in range(3)])
    listed = [job.id async for job in north.jobs(JobFilter(status=None))]
    assert sorted(listed) == sorted(job.id for job in jobs)
    outcome = await north.cancel_many(listed)
    assert {one.outcome for one in outcome.jobs} == {"canceled"}


async def test_a_job_is_found_again_by_its_idempotency_key(north: AsyncClient) -> None:
    job = await north.submit(SERVICE, {}, idempotency_key="mine-1")
    found = await north.find("mine-1")
    assert found is not None
    assert found.id == job.id
    assert await north.find("never-was") is None


async def test_a_wait_that_is_over_leaves_the_job_going_on(north: AsyncClient) -> None:
    job = await north.submit(SERVICE)
    with pytest.raises(WaitTooLong) as waited:
        await job.wait(timeout_s=0.05)
    assert waited.value.job.status == "queued"
    assert await job.status() == "queued"


async def test_refusals_are_types_with_stable_codes(north: AsyncClient, site: Site) -> None:
    with pytest.raises(NotFound) as missing:
        await north.job("never-was").look()
    assert missing.value.reason == "NS_NO_SUCH_JOB"
    with pytest.raises(RequestInvalid) as unknown:
        await north.submit("no-such-service")
    assert unknown.value.reason == "NS_UNKNOWN_WORD"
    with pytest.raises(JobMalformed, match="prioritty"):
        await north.submit(SERVICE, prioritty=3)
    with pytest.raises(JobMalformed, match="priority"):
        await north.submit(SERVICE, priority=300)
    job = await north.submit(SERVICE)
    with pytest.raises(RequestRefused):
        await job.retry()
    async with AsyncClient(site.url, key=await key_of(site, Scope.READ), patience=HASTY) as reader:
        with pytest.raises(KeyRefused) as refused:
            await reader.submit(SERVICE)
        assert (refused.value.reason, refused.value.status) == ("NS_SCOPE_MISSING", 403)


async def test_a_server_that_is_not_there_is_tried_as_long_as_the_client_is_patient() -> None:
    async with AsyncClient("http://127.0.0.1:9", key="nsk_x", patience=HASTY) as north:
        with pytest.raises(ServerUnavailable) as gone:
            await north.submit(SERVICE)
    assert gone.value.tries > 1


@pytest.mark.parametrize(("url", "key"), [("", "nsk_x"), ("ftp://x", "nsk_x"), ("http://x", "")])
async def test_a_client_that_does_not_know_enough_says_what_to_set(
    url: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NORTHSTAR_API_URL", "NORTHSTAR_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ClientNotConfigured, match="NORTHSTAR_API_"):
        AsyncClient(url, key=key)


async def test_address_and_key_come_from_the_environment(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NORTHSTAR_API_URL", site.url)
    monkeypatch.setenv("NORTHSTAR_API_KEY", await key_of(site, Scope.SUBMIT))
    async with AsyncClient() as north:
        assert (await north.submit(SERVICE)).id
    assert "nsk_" not in repr(north._transport)
