"""Every run of a job is in the history once it has ended: where, at what price, with what it took and how it ended."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from northstar.domain.decisions import RoutingDecision
from northstar.domain.estimates import DurationEstimate, FinishedRun
from northstar.domain.jobs import RetryRule
from northstar.domain.machines import MachineDescription
from northstar.domain.models import ModelNeed
from northstar.domain.requirements import Requirements
from northstar.domain.run_reports import ModelUsed, RunReport
from northstar.store.history import Attempt, AttemptFilter, AttemptReader, HistoryDatabase, HistoryWriter, prune
from northstar.store.history.errors import HistoryQueryInvalid
from northstar.store.messages import Held
from tests.store.history.conftest import writer_for
from tests.store.history.workplace import NOON_MS, Workplace

L4 = MachineDescription(gpu="NVIDIA L4", region="eu", price_usd_per_hour=0.8, download_bytes_per_s=50e6)
SDXL = ModelNeed(name="sdxl.safetensors", size_bytes=6_900_000_000)
STYLE = ModelNeed(name="style.safetensors", kind="lora")


@pytest.fixture
def attempts(workplace: Workplace, database: HistoryDatabase) -> AttemptReader:
    return AttemptReader(database, cell=workplace.name)


async def all_of(reader: AttemptReader) -> list[Attempt]:
    return (await reader.earliest()).attempts


async def test_a_run_that_succeeded_has_a_row_with_everything_that_is_known(
    workplace: Workplace, writer: HistoryWriter, attempts: AttemptReader
) -> None:
    """Issue: "Each attempt: tenant, user, session, parent job, …, outcome class"."""
    await workplace.register("m", said=L4)
    await workplace.cell.declare(["model:sdxl.safetensors", "model:style.safetensors"], by="test")
    await workplace.submit(
        "a", tenant="ada", user="u7", session="s1", parent="before", requires=Requirements(models=(SDXL, STYLE))
    )
    workplace.later(1_500)
    claimed = await workplace.claim()
    workplace.later(9_000)
    used = (ModelUsed("style.safetensors", 140_000_000, "0123456789abcdef"), ModelUsed("vae.pt", 5))
    took = RunReport(
        fetching_s=3.0, loading_s=1.0, running_s=4.5, storing_s=0.5, fetched_bytes=9, peak_vram_mb=7_000, models=used
    )
    await workplace.complete(claimed, report=took)
    await writer.step()
    (one,) = await all_of(attempts)
    assert (one.job_id, one.claim, one.attempt, one.outcome, one.code) == ("a", 1, 1, "succeeded", None)
    assert (one.tenant, one.user, one.session, one.parent, one.service) == ("ada", "u7", "s1", "before", "paint")
    assert (one.pool, one.machine, one.gpu_class, one.region, one.price_usd_per_hour) == ("fast", "m", "l4", "eu", 0.8)
    assert (one.submitted_ms, one.started_ms, one.ended_ms) == (NOON_MS, NOON_MS + 1_500, NOON_MS + 10_500)
    assert (one.queued_s, one.waiting_s, one.fetching_s, one.loading_s) == (1.5, 0.0, 3.0, 1.0)
    assert (one.running_s, one.storing_s, one.held_s) == (4.5, 0.5, 9.0)
    assert (one.fetched_bytes, one.link_bytes_per_s, one.peak_vram_mb) == (9, 50e6, 7_000)
    assert [(model.name, model.kind, model.size_bytes, model.sha256) for model in one.models] == [
        ("sdxl.safetensors", "checkpoint", 6_900_000_000, ""),
        ("style.safetensors", "lora", 140_000_000, "0123456789abcdef"),
        ("vae.pt", "other", 5, ""),
    ]


async def test_what_nobody_knows_is_no_zero(
    workplace: Workplace, writer: HistoryWriter, attempts: AttemptReader
) -> None:
    """An older agent reports nothing, and a machine may say no price: neither was free, and neither took no time."""
    await workplace.run("a")
    await writer.step()
    (one,) = await all_of(attempts)
    assert (one.running_s, one.fetched_bytes, one.price_usd_per_hour, one.estimate_p50_s) == (None, None, None, None)
    assert (one.user, one.session, one.parent, one.shape, one.route) == (None, None, None, None, None)


async def test_every_failure_is_an_attempt_of_its_own(
    workplace: Workplace, writer: HistoryWriter, attempts: AttemptReader
) -> None:
    """The pause between two attempts is no time in the queue."""
    await workplace.submit("a", retry=RetryRule(backoff_s=10, backoff_cap_s=10, max_attempts=2))
    for _ in range(2):
        (claimed,) = await workplace.claim()
        workplace.later(100)
        await workplace.fail(claimed, retryable=True, report='{"running_s":0.1}')
        workplace.later(10_000)
        await workplace.tick()
        workplace.later(400)
        await writer.step()
    rows = await all_of(attempts)
    assert [(one.claim, one.attempt, one.outcome, one.code) for one in rows] == [
        (1, 1, "failed", "BOOM"),
        (2, 2, "failed", "BOOM"),
    ]
    assert [(one.queued_s, one.running_s, one.machine) for one in rows] == [(0.0, 0.1, "m"), (0.4, 0.1, "m")]


async def test_a_killed_machine_leaves_a_lost_attempt_with_its_price(
    workplace: Workplace, database: HistoryDatabase, attempts: AttemptReader
) -> None:
    """The machine is gone when its end is written, and so is all that the cell knew of it."""
    await workplace.register("spot", said=L4)
    await workplace.submit("a", machine="spot")
    await workplace.claim(machine="spot")
    await writer_for(workplace, database).step()
    workplace.later(45_000)
    await workplace.tick()
    await writer_for(workplace, database).step()
    (one,) = await all_of(attempts)
    assert (one.outcome, one.code, one.machine) == ("lost", "lease_expired", "spot")
    assert (one.gpu_class, one.region, one.price_usd_per_hour) == ("l4", "eu", 0.8)
    assert one.held_s == 45.0


async def test_ends_of_every_kind_are_told_apart(
    workplace: Workplace, writer: HistoryWriter, attempts: AttemptReader
) -> None:
    await workplace.register("spot", said=L4)
    await workplace.submit("expired", finish_within_s=1.0)
    await workplace.submit("released", "canceled")
    await workplace.submit("lost", machine="spot", requires=Requirements(vram_mb=1))
    await workplace.submit("waits", finish_within_s=1.0, priority=0)
    held = {job.id: Held(job.id, job.token) for job in await workplace.claim(3)}
    await workplace.claim(machine="spot")
    await workplace.cell.cancel(["canceled"], because="not wanted")
    await workplace.cell.release(
        machine="m", session="s", held=[held["released"]], because="stops", nonce=workplace.nonce()
    )
    await workplace.lose("spot")
    workplace.later(2_000)
    await workplace.tick()
    await writer.step()
    told = {one.job_id: (one.outcome, one.code) for one in await all_of(attempts)}
    assert told == {
        "expired": ("expired", "NS_NOT_FINISHED_IN_TIME"),
        "released": ("released", "stops"),
        "canceled": ("canceled", "not wanted"),
        "lost": ("lost", "gone"),
    }


async def test_attempts_are_written_once_however_often_the_writer_begins_again(
    workplace: Workplace, database: HistoryDatabase, attempts: AttemptReader
) -> None:
    """ "effectively once": rows, events and offset are one transaction."""
    for number in range(12):
        await workplace.run(f"j{number}")
    while await writer_for(workplace, database, batch=5).step():
        pass
    assert len(await all_of(attempts)) == 12


async def test_a_job_that_was_only_offered_and_not_taken_has_not_run(
    workplace: Workplace, writer: HistoryWriter, attempts: AttemptReader
) -> None:
    await workplace.submit("z")
    await workplace.complete(await workplace.claim())
    await workplace.cell.claim(machine="m", session="s", credits_=1, nonce=workplace.nonce(), park=True)
    await workplace.submit("a")
    workplace.later(5_000)
    await workplace.tick()
    await writer.step()
    assert [one.job_id for one in await all_of(attempts)] == ["z"]


async def test_attempts_can_be_asked_for_by_all_that_matters_and_come_in_pages(
    workplace: Workplace, writer: HistoryWriter, attempts: AttemptReader
) -> None:
    await workplace.cell.declare([f"model:{SDXL.name}"], by="test")
    await workplace.run("a", tenant="ada")
    workplace.later(1_000)
    await workplace.run("b", tenant="bob", requires=Requirements(models=(SDXL,)))
    await workplace.submit("c", tenant="ada")
    (claimed,) = await workplace.claim()
    await workplace.fail(claimed)
    await writer.step()

    async def ids(**wanted: object) -> list[str]:
        found = await attempts.latest(msgspec.convert(wanted, AttemptFilter))
        return [one.job_id for one in found.attempts]

    assert await ids() == ["c", "b", "a"]
    assert await ids(tenant="ada") == ["c", "a"]
    assert await ids(outcome="failed") == ["c"]
    assert await ids(model=SDXL.name) == ["b"]
    assert await ids(model="sdxl%") == []
    assert await ids(machine="m", pool="fast", job="b") == ["b"]
    assert await ids(since_ms=NOON_MS + 1_000) == ["c", "b"]
    assert await ids(until_ms=NOON_MS + 1_000) == ["a"]
    first = await attempts.latest(count=2)
    second = await attempts.latest(count=2, after=first.after)
    assert [one.job_id for one in first.attempts + second.attempts] == ["c", "b", "a"]
    assert second.after == ""


@pytest.mark.parametrize("cursor", ["x", "1", "1-2-3", "-1-5", f"1-{2**63}"])
async def test_a_cursor_that_no_page_gave_is_refused(attempts: AttemptReader, cursor: str) -> None:
    with pytest.raises(HistoryQueryInvalid, match="no cursor that a page has given"):
        await attempts.latest(after=cursor)


async def test_durations_are_learned_from_runs_that_succeeded_and_were_measured_in_their_order(
    workplace: Workplace, writer: HistoryWriter, attempts: AttemptReader
) -> None:
    """Issue: "learned only from finished runs"."""
    await workplace.register("m", said=L4)
    for number in range(5):
        await workplace.submit(f"j{number}", user="u7")
        await workplace.complete(await workplace.claim(), report=RunReport(running_s=float(number)))
    await workplace.run("unmeasured")
    await workplace.submit("failed")
    (claimed,) = await workplace.claim()
    await workplace.fail(claimed, report='{"running_s":9.0}')
    await writer.step()
    first, cursor = await attempts.finished_runs(count=3)
    rest, end = await attempts.finished_runs(cursor)
    assert [run.ran_s for run in first] == [0.0, 1.0, 2.0]
    assert [run.ran_s for run in rest] == [3.0, 4.0]
    assert first[1] == FinishedRun(
        shape="",
        service="paint",
        model="",
        user="default/u7",
        gpu_class="l4",
        ran_s=1.0,
        finished_ms=NOON_MS,
        machine="m",
        tenant="default",
        held_s=0.0,
    )
    assert await attempts.finished_runs(end) == ([], end)


async def test_old_attempts_and_machines_that_are_gone_are_forgotten(
    workplace: Workplace, database: HistoryDatabase, writer: HistoryWriter, attempts: AttemptReader
) -> None:
    """ "bounded by retention"; a machine that is there is kept however long it has been."""
    await workplace.register("spot", said=L4)
    await workplace.lose("spot")
    await workplace.run("old")
    workplace.later(10_000)
    await workplace.run("young")
    await writer.step()
    pruned = await prune(database, cell=workplace.name, older_than_ms=NOON_MS + 10_000)
    assert (pruned.attempts, pruned.machines) == (1, 2)
    assert [one.job_id for one in await all_of(attempts)] == ["young"]


DECISION = RoutingDecision(
    pool="fast",
    route="fallback",
    optimal="lightning",
    row="text",
    because="it is text",
    estimate=DurationEstimate(p10_s=1, p50_s=2, p90_s=3, source="model", confidence=0.5),
    shape="llm",
    modalities=("text",),
    work=800.0,
)


async def test_how_a_job_was_routed_is_kept_with_its_attempt(
    workplace: Workplace, writer: HistoryWriter, attempts: AttemptReader
) -> None:
    """The estimate beside what came of it, and the pool that was wanted beside the one that was had."""
    await workplace.run("a", decision=msgspec.json.encode(DECISION).decode())
    await workplace.run("b", decision="of a version that writes otherwise")
    await writer.step()
    row, other = await all_of(attempts)
    assert (row.optimal_pool, row.pool, row.route, row.shape, row.modality, row.work) == (
        "lightning", "fast", "fallback", "llm", "text", 800.0,
    )  # fmt: skip
    assert (row.estimate_p10_s, row.estimate_p50_s, row.estimate_p90_s, row.estimate_source) == (1, 2, 3, "model")
    assert (other.pool, other.optimal_pool, other.estimate_p50_s) == ("fast", None, None)


Step = st.sampled_from(["succeed", "fail", "lose", "release", "wait"])


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(Step, min_size=1, max_size=14), batch=st.integers(1, 9))
async def test_the_attempts_of_a_job_add_up_to_its_counters(
    workplace: Workplace, sqlite_database: HistoryDatabase, steps: list[str], batch: int
) -> None:
    """As many failures as the job was charged, as many losses as it recovered from, wherever batches end."""
    name = f"j{workplace.nonce()}"
    await workplace.submit(name, retry=RetryRule(backoff_s=0, backoff_cap_s=0, max_attempts=100, max_recoveries=100))
    started = 0
    for step in steps:
        found = await workplace.look(name)
        assert found is not None
        if found.record.status in {"succeeded", "failed"}:
            break
        workplace.later(1_000)
        await workplace.tick()
        if step == "wait":
            continue
        (job,) = await workplace.claim()
        started += 1
        if step == "succeed":
            await workplace.complete([job])
        elif step == "fail":
            await workplace.fail(job, retryable=True)
        elif step == "release":
            held = [Held(job.id, job.token)]
            await workplace.cell.release(machine="m", session="s", held=held, because="x", nonce=workplace.nonce())
        else:
            await workplace.lose("m")
            await workplace.register("m")
            await workplace.may_take("m", name)
    await workplace.cell.cancel([name], because="enough")
    writer = writer_for(workplace, sqlite_database, batch=batch)
    while await writer.step():
        pass
    found = await workplace.look(name)
    assert found is not None
    reader = AttemptReader(sqlite_database, cell=workplace.name)
    rows = (await reader.earliest(AttemptFilter(job=name))).attempts
    outcomes = [row.outcome for row in rows]
    assert (outcomes.count("failed"), outcomes.count("lost")) == (found.record.attempts, found.record.recoveries)
    assert len(rows) == started == found.record.claims
    assert sum(outcome == "succeeded" for outcome in outcomes) == (found.record.status == "succeeded")
