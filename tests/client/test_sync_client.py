"""The SDK without asyncio: the same calls, from a thread."""

from __future__ import annotations

import asyncio

import pytest

from northstar.client import Client, JobFailed, JobRequest, NotFound
from northstar.client.patience import Patience
from northstar.domain.api_keys import KeyTerms, Scope
from tests.surfaces.http.site import SERVICE, Site

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_program_without_asyncio_submits_lists_finds_and_cancels(site: Site) -> None:
    terms = KeyTerms(name="sdk", scopes=(Scope.SUBMIT, Scope.READ), tenant=site.new_tenant())
    key = (await site.keys.make(terms, by="test")).key.reveal()

    def program() -> None:
        with Client(site.url, key=key, patience=Patience(total_s=5)) as north:
            job = north.submit(SERVICE, {"a": 1}, idempotency_key="k")
            assert job.submitted is not None
            assert (job.status(), job.look().service) == ("queued", SERVICE)
            assert job.reprioritise(90).priority == 90
            others = north.submit_many([JobRequest(service=SERVICE) for _ in range(2)])
            assert {one.id for one in north.jobs()} == {job.id, *(other.id for other in others)}
            found = north.find("k")
            assert found is not None
            assert found.id == job.id
            assert {one.outcome for one in north.cancel_many(other.id for other in others).jobs} == {"canceled"}
            assert job.cancel(because="done").status == "canceled"
            with pytest.raises(JobFailed, match="done"):
                job.result(timeout_s=5)
            with pytest.raises(NotFound):
                north.job("never-was").look()

    await asyncio.to_thread(program)


async def test_a_client_that_is_closed_leaves_no_thread_behind(site: Site) -> None:
    def program() -> list[str]:
        import threading

        with Client(site.url, key="nsk_x"):
            pass
        return [thread.name for thread in threading.enumerate()]

    assert "northstar-client" not in await asyncio.to_thread(program)


async def test_a_client_that_is_not_open_says_so_at_once_before_and_after() -> None:
    north = Client("http://127.0.0.1:9", key="nsk_x")
    with pytest.raises(RuntimeError, match="not open"):
        north.submit("s")
    with north:
        pass
    with pytest.raises(RuntimeError, match="not open"):
        north.submit("s")
