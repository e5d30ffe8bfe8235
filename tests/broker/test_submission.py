"""Submission: what becomes of a request, where policy sends a lane that is new, and all or nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from northstar.broker.requests import (
    BatchTooLarge,
    DuplicateId,
    InvalidJob,
    MalformedBody,
    SubmissionTooLarge,
    read_requests,
)
from northstar.broker.secret_addresses import SecretInAddress
from northstar.broker.submission import PLACED_S, Submitter, wanted_job
from northstar.broker.wanted_lanes import wanted_lane
from northstar.domain.jobs import JobRequest, RetryRule
from northstar.domain.machines import MachineDescription
from northstar.domain.models import ModelHeld, ModelNeed
from northstar.domain.refusals import IdempotencyKeyReused, UnknownWord
from northstar.domain.requirements import Requirements
from northstar.policy.routing.ready_after import PatienceRule
from northstar.store.messages import WantedLane
from northstar.store.snapshots import read_candidates
from tests.agent.rig import PROFILE, SOON_S, Rig, Runs, nonce, soon
from tests.servers import eventually

SDXL = ModelNeed(name="sdxl", size_bytes=5_000_000_000)


def test_a_request_becomes_a_job_with_its_durations_in_milliseconds() -> None:
    retry = RetryRule(max_attempts=2, backoff_s=0.0015, backoff_cap_s=60)
    request = JobRequest(service="s", retry=retry, start_within_s=0.0001, finish_within_s=2, retention_s=60)
    job = wanted_job(request, job_id="j", lane=1, weight=2.0)
    assert (job.start_within_ms, job.finish_within_ms, job.retention_ms) == (1, 2_000, 60_000)
    assert (job.backoff_base_ms, job.backoff_cap_ms, job.max_attempts) == (2, 60_000, 2)


def test_what_is_not_asked_for_is_none() -> None:
    job = wanted_job(JobRequest(service="s"), job_id="j", lane=1, weight=1.0)
    assert (job.start_within_ms, job.finish_within_ms, job.idempotency_key) == (0, 0, "")


def test_a_lane_without_a_view_of_the_machines_carries_no_placements() -> None:
    lane = wanted_lane(JobRequest(service="s").lane(), None, PatienceRule())
    assert (lane.fits, lane.placements) == ((), ())


async def test_work_in_a_new_lane_reaches_a_waiting_machine_without_any_dispatcher(rig: Rig) -> None:
    runs = Runs()
    async with rig.working(rig.worker(await rig.link(), runs, reclaim_every_s=60)):
        await machines_wait(rig, 1)
        await rig.submit("a")
        await soon(lambda: runs.ids == ["a"], "a runs")
        runs.finish("a")
        await rig.becomes("a", "succeeded")


async def test_work_goes_to_the_machine_that_has_its_models(rig: Rig) -> None:
    await rig.cell.declare(["model:sdxl"], by="test")
    cold, warm = await rig.link("cold"), await rig.link("warm")
    fast = MachineDescription(download_bytes_per_s=1e9)
    await cold.register(PROFILE, fast, slots=1, models=())
    await warm.register(PROFILE, fast, slots=1, models=[ModelHeld("sdxl", "resident", 1)])
    for link in (cold, warm):
        assert (await link.claim(credits_=1)).jobs == []
    await rig.submit("a", requires=Requirements(models=(SDXL,)))
    assert (await rig.record("a")).machine == "warm"


async def test_a_lane_that_gets_jobs_all_the_time_is_ranked_again_by_and_by(rig: Rig) -> None:
    """Links, paces and holders move: its first ranking is not the one for ever."""
    now_s = 0.0
    submitter = Submitter(rig.cell, new_id=lambda: nonce() + nonce(), monotonic=lambda: now_s, view_s=0)
    await rig.joined("m")
    ranked = []
    for number in range(6):
        now_s = number * (PLACED_S / 2 - 1)
        await submitter.submit([JobRequest(service="waits", id=f"job-{number}")])
        ranked.append("m" in await read_candidates(rig.cell.client, rig.cell.keys))
        await rig.cell.set_candidates([("m", [])], nonce=nonce())
    assert ranked == [True, False, False, True, False, False]


async def test_a_lane_that_is_ranked_again_says_only_what_the_cell_does_not_have(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each placement has the cell write all candidates of its machine anew."""
    now_s, said = 0.0, []
    submit = rig.cell.submit

    async def heard(*, jobs: Any, lanes: list[WantedLane], nonce: str) -> Any:
        said.append([placement.machine for lane in lanes for placement in lane.placements])
        return await submit(jobs=jobs, lanes=lanes, nonce=nonce)

    monkeypatch.setattr(rig.cell, "submit", heard)
    submitter = Submitter(rig.cell, new_id=lambda: nonce() + nonce(), monotonic=lambda: now_s, view_s=0)
    for name in ("a", "b"):
        await rig.joined(name)
    for number in range(3):
        now_s = number * PLACED_S
        await submitter.submit([JobRequest(service="waits", id=f"job-{number}")])
        if number == 1:
            await rig.cell.set_candidates([("b", [])], nonce=nonce())
    assert said == [["a", "b"], [], ["b"]]
    assert set(await read_candidates(rig.cell.client, rig.cell.keys)) == {"a", "b"}


async def test_a_batch_is_accepted_whole_or_not_at_all(rig: Rig) -> None:
    good = JobRequest(service="waits", id="good")
    bad = JobRequest(service="unheard", id="bad")
    with pytest.raises(UnknownWord, match="no machine here has offered service:unheard yet"):
        await rig.submitter.submit([good, bad])
    assert (await rig.cell.inspect(["good", "bad"])).jobs == []


async def test_jobs_of_a_batch_share_their_lane(rig: Rig) -> None:
    await rig.submit("a", "b", "c")
    lanes = (await rig.cell.statistics(lanes=10)).lanes
    assert [(lane.waiting, lane.live) for lane in lanes] == [(3, 3)]


async def test_a_key_that_belongs_to_other_work_is_refused_with_the_job_it_belongs_to(rig: Rig) -> None:
    first = JobRequest(service="waits", id="first", idempotency_key="k")
    await rig.submitter.submit([first])
    with pytest.raises(IdempotencyKeyReused, match="idempotency key k belongs to job first"):
        await rig.submitter.submit([JobRequest(service="waits", payload={"other": 1}, idempotency_key="k")])


async def test_two_submitters_that_race_with_one_key_get_one_job(rig: Rig) -> None:
    requests = [JobRequest(service="waits", idempotency_key="k")]
    answers = await asyncio.gather(*(rig.submitter.submit(requests) for _ in range(10)))
    assert len({job.id for (job,) in answers}) == 1
    assert sum(not job.replayed for (job,) in answers) == 1


async def test_a_batch_is_neither_empty_nor_too_large(rig: Rig) -> None:
    with pytest.raises(BatchTooLarge, match="a batch holds 1 to 500 jobs, this one is empty"):
        await rig.submitter.submit([])
    with pytest.raises(BatchTooLarge, match="this one has 501"):
        await rig.submitter.submit([JobRequest(service="waits")] * 501)


async def test_an_id_stands_once_in_a_batch(rig: Rig) -> None:
    with pytest.raises(DuplicateId, match="two jobs of the batch have the id a"):
        await rig.submitter.submit([JobRequest(service="waits", id="a")] * 2)


async def test_no_job_brings_a_secret_into_the_cell(rig: Rig) -> None:
    source = "https://civitai.com/api/download/models/1?token=S3CR3T"
    need = ModelNeed(name="a.safetensors", sources=(source,), sha256="unknown")
    request = JobRequest(service="waits", id="a", requires=Requirements(models=(need,)))
    with pytest.raises(
        SecretInAddress, match=r"models/1, a source of model 'a.safetensors', holds the parameter 'token'"
    ) as told:
        await rig.submitter.submit([JobRequest(service="waits", id="b"), request])
    assert "S3CR3T" not in str(told.value)
    assert (await rig.cell.inspect(["a", "b"])).jobs == []
    with pytest.raises(SecretInAddress):
        read_requests(msgspec.json.encode(request))


def test_one_job_or_a_list_of_jobs_can_be_read() -> None:
    assert [request.service for request in read_requests(b'{"service": "s"}')] == ["s"]
    assert [request.service for request in read_requests(b'[{"service": "s"}, {"service": "t"}]')] == ["s", "t"]


def test_the_mark_that_editors_put_before_a_file_is_passed_over() -> None:
    assert [request.service for request in read_requests(b'\xef\xbb\xbf{"service": "s"}')] == ["s"]
    with pytest.raises(MalformedBody, match="is empty"):
        read_requests(b"\xef\xbb\xbf")


@pytest.mark.parametrize(
    ("body", "error", "sentence"),
    [
        (b"{", MalformedBody, "the body is not valid JSON"),
        (b"\xff\xfe", MalformedBody, "the body is not valid JSON"),
        (b"[" * 100_000, InvalidJob, "an object is wanted, and this is a list"),
        (b'{"service": "s", "payload": {"deep": ' + b"[" * 100_000, MalformedBody, "the body is not valid JSON"),
        (b"42", InvalidJob, "the body does not describe a job"),
        (b'{"service": "s", "sevrice": "t"}', InvalidJob, r"`sevrice` is no field; did you mean `service`\?"),
        (b'{"service": "s", "priority": 101}', InvalidJob, "of at most 100 is wanted"),
        (b'{"service": "s", "priority": "high"}', InvalidJob, "a whole number is wanted, and this is text"),
        (b'{"service": "s", "expected_s": 1e99}', InvalidJob, "of at most 86400.0 is wanted"),
        (b'{"service": "no spaces allowed"}', InvalidJob, "text is wanted that matches"),
        (b'{"service": "s", "id": "../../etc"}', InvalidJob, "text is wanted that matches"),
        (b"[]", BatchTooLarge, "this one is empty"),
        (b" " * 8_000_001, SubmissionTooLarge, "the body has 8,000,001 bytes"),
    ],
)
def test_a_body_that_is_no_job_is_refused_by_name(body: bytes, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        read_requests(body)


async def machines_wait(rig: Rig, count: int) -> None:
    async def is_so() -> bool:
        return (await rig.cell.statistics()).counts["parked_size"] == count

    await eventually(is_so, what=f"{count} machines wait", within_s=SOON_S)


@pytest.mark.parametrize(
    ("request_", "word"),
    [
        (JobRequest(service="waits", pool="nopool"), "pool:nopool"),
        (JobRequest(service="waits", requires=Requirements(isolation="acme")), "isolation:acme"),
        (JobRequest(service="waits", requires=Requirements(tags=("eu",))), "tag:eu"),
    ],
)
async def test_what_no_machine_has_offered_is_refused_rather_than_left_to_wait_for_ever(
    rig: Rig, request_: JobRequest, word: str
) -> None:
    with pytest.raises(UnknownWord, match=word):
        await rig.submitter.submit([request_])


def test_the_size_of_a_model_makes_no_lane_of_its_own() -> None:
    """Sizes are what a client says of a model; a lane is the model."""
    small, large = [
        JobRequest(service="s", requires=Requirements(models=(ModelNeed(name="sdxl", size_bytes=size),))).lane()
        for size in (1, 2)
    ]
    assert small.key == large.key
    assert small.anchors != large.anchors
