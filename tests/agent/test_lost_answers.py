"""The call arrived and its answer was lost: the call is repeated, and gives what it gave; nothing happens twice, nothing is lost."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from northstar.agent.direct_link import DirectLink
from northstar.broker.submission import Submitter
from northstar.domain.errors import Unavailable
from northstar.domain.events import EventId
from northstar.domain.jobs import JobRequest
from northstar.domain.machines import MachineDescription
from northstar.store.events import read_events
from northstar.store.messages import Done, Failure, Held
from tests.agent.lossy_proxy import LossyProxy, lossy
from tests.agent.rig import PROFILE, Rig, nonce


@pytest_asyncio.fixture
async def proxy(rig: Rig) -> AsyncIterator[LossyProxy]:
    async with lossy(rig.url) as opened:
        yield opened


async def kinds(rig: Rig, subject: str) -> list[str]:
    events = await read_events(rig.cell.client, rig.cell.keys, after=EventId(0, 0))
    return [event.kind for event in events if event.subject == subject]


@contextlib.contextmanager
def answer_lost(proxy: LossyProxy, function: str) -> Iterator[None]:
    """The block makes one call whose answer is lost."""
    proxy.swallow(function)
    with pytest.raises(Unavailable):
        yield
    assert proxy.swallowed[-1] == function


async def joined_with_jobs(rig: Rig, proxy: LossyProxy, *ids: str) -> DirectLink:
    link = await rig.joined(url=proxy.url)
    await rig.submit(*ids)
    return link


async def test_a_submission_with_ids_is_answered_as_replayed(rig: Rig, proxy: LossyProxy) -> None:
    cell = await rig.opened(proxy.url)
    submitter = Submitter(cell, new_id=lambda: nonce() + nonce(), monotonic=lambda: 0.0)
    requests = [JobRequest(service="waits", id="a"), JobRequest(service="waits", id="b")]
    with answer_lost(proxy, "submit"):
        await submitter.submit(requests)
    assert [(job.id, job.replayed) for job in await submitter.submit(requests)] == [("a", True), ("b", True)]
    assert await kinds(rig, "a") == ["job.submitted"]


async def test_a_submission_with_a_key_gives_the_id_of_the_first_time(rig: Rig, proxy: LossyProxy) -> None:
    cell = await rig.opened(proxy.url)
    submitter = Submitter(cell, new_id=lambda: nonce() + nonce(), monotonic=lambda: 0.0)
    requests = [JobRequest(service="waits", idempotency_key="k")]
    with answer_lost(proxy, "submit"):
        await submitter.submit(requests)
    (first,), (second,) = await submitter.submit(requests), await submitter.submit(requests)
    assert first.replayed
    assert first.id == second.id
    assert (await rig.cell.statistics()).counts["submitted"] == 1


async def test_a_claim_gives_the_same_jobs_under_the_same_tokens(rig: Rig, proxy: LossyProxy) -> None:
    link = await joined_with_jobs(rig, proxy, "a", "b")
    with answer_lost(proxy, "claim"):
        await link.claim(credits_=2)
    claimed = (await link.claim(credits_=2)).jobs
    assert sorted(job.id for job in claimed) == ["a", "b"]
    assert [job.token for job in claimed] == [(await rig.record(job.id)).token for job in claimed]
    assert await kinds(rig, "a") == ["job.submitted", "job.started"]


async def test_offers_that_a_lost_claim_accepted_come_again_too(rig: Rig, proxy: LossyProxy) -> None:
    link = await rig.joined(url=proxy.url)
    assert (await link.claim(credits_=2)).jobs == []
    await rig.submit("a")
    assert await rig.status("a") == "offered"
    with answer_lost(proxy, "claim"):
        await link.claim(credits_=2)
    assert await rig.status("a") == "running"
    (job,) = (await link.claim(credits_=2)).jobs
    assert (job.id, job.token) == ("a", (await rig.record("a")).token)
    assert await kinds(rig, "a") == ["job.submitted", "job.offered", "job.started"]


async def test_completing_and_claiming_completes_once_and_claims_the_same_jobs(rig: Rig, proxy: LossyProxy) -> None:
    link = await joined_with_jobs(rig, proxy, "a", "b")
    (first,) = (await link.claim(credits_=1)).jobs
    done = [Done(first.id, first.token, "1")]
    with answer_lost(proxy, "complete_and_claim"):
        await link.complete_and_claim(done, credits_=1)
    reply = await link.complete_and_claim(done, credits_=1)
    assert [(outcome.id, outcome.word) for outcome in reply.completed] == [(first.id, "replayed")]
    (second,) = reply.jobs
    assert {first.id, second.id} == {"a", "b"}
    assert await kinds(rig, first.id) == ["job.submitted", "job.started", "job.succeeded"]
    assert await kinds(rig, second.id) == ["job.submitted", "job.started"]


async def test_a_completion_is_stored_once(rig: Rig, proxy: LossyProxy) -> None:
    link = await joined_with_jobs(rig, proxy, "a")
    (job,) = (await link.claim(credits_=1)).jobs
    with answer_lost(proxy, "complete"):
        await link.complete([Done(job.id, job.token, "1")])
    (outcome,) = await link.complete([Done(job.id, job.token, "1")])
    assert outcome.word == "replayed"
    assert await kinds(rig, "a") == ["job.submitted", "job.started", "job.succeeded"]


async def test_a_failure_is_charged_once(rig: Rig, proxy: LossyProxy) -> None:
    link = await joined_with_jobs(rig, proxy, "a")
    (job,) = (await link.claim(credits_=1)).jobs
    failure = Failure(job.id, job.token, "NS_BOOM", "it broke", retryable=True, jitter=0.5)
    with answer_lost(proxy, "fail"):
        await link.fail([failure])
    (outcome,) = await link.fail([failure])
    assert outcome.word == "replayed"
    assert (await rig.record("a")).attempts == 1


async def test_a_released_job_is_returned_once(rig: Rig, proxy: LossyProxy) -> None:
    link = await joined_with_jobs(rig, proxy, "a")
    (job,) = (await link.claim(credits_=1)).jobs
    with answer_lost(proxy, "release"):
        await link.release([Held(job.id, job.token)], because="test")
    (outcome,) = await link.release([Held(job.id, job.token)], because="test")
    assert outcome.word == "replayed"
    assert await kinds(rig, "a") == ["job.submitted", "job.started", "job.returned"]


async def test_a_renewal_may_be_repeated(rig: Rig, proxy: LossyProxy) -> None:
    link = await joined_with_jobs(rig, proxy, "a")
    (job,) = (await link.claim(credits_=1)).jobs
    with answer_lost(proxy, "renew"):
        await link.renew([Held(job.id, job.token)])
    assert (await link.renew([Held(job.id, job.token)])).lost == []


async def test_a_registration_keeps_what_the_session_holds(rig: Rig, proxy: LossyProxy) -> None:
    link = await joined_with_jobs(rig, proxy, "a")
    (job,) = (await link.claim(credits_=1)).jobs
    with answer_lost(proxy, "register_machine"):
        await link.register(PROFILE, MachineDescription(), slots=4, models=())
    held = await link.register(PROFILE, MachineDescription(), slots=4, models=())
    assert held == [Held(job.id, job.token)]
    assert await rig.status("a") == "running"
