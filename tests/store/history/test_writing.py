"""Events and finished jobs reach the history once, in order, and only then does the cell forget them."""

from __future__ import annotations

import asyncio
import gc

import pytest

from northstar.domain.events import EventId
from northstar.domain.jobs import JobStatus
from northstar.store.history import HistoryDatabase, HistoryReader, HistoryWriter
from tests.store.history.conftest import writer_for
from tests.store.history.stored import first_ids, stored_ids, stored_offset
from tests.store.history.workplace import NOON_MS, Workplace

#: A statement that is built anew for each batch leaves a thousand.
OBJECTS_LEFT = 100


async def test_every_event_is_written_once_and_in_order(
    workplace: Workplace, database: HistoryDatabase, writer: HistoryWriter
) -> None:
    await workplace.run("a", "b", "c")
    count = await workplace.latest_event()
    assert await writer.step() == count
    assert await writer.step() == 0
    assert await stored_ids(database, workplace.name) == first_ids(count)
    assert await stored_offset(database, workplace.name) == EventId(1, count)


async def test_the_stream_is_trimmed_once_the_history_has_it(workplace: Workplace, writer: HistoryWriter) -> None:
    await workplace.run("a")
    assert await workplace.waiting_events() > 0
    await writer.step()
    assert await workplace.waiting_events() == 0
    assert await workplace.committed_event() == await workplace.latest_event()
    assert writer.backlog == 0


async def test_a_batch_is_bounded_and_the_rest_follows(workplace: Workplace, database: HistoryDatabase) -> None:
    await workplace.run(*(f"j{number}" for number in range(20)))
    count = await workplace.latest_event()
    writer = writer_for(workplace, database, batch=7)
    steps = [await writer.step() for _ in range(count // 7 + 1)]
    assert set(steps[:-1]) == {7}
    assert await stored_ids(database, workplace.name) == first_ids(count)


async def test_a_batch_leaves_little_for_the_collector(workplace: Workplace, writer: HistoryWriter) -> None:
    """What the writer leaves lying about is collected in pauses that hold up every wait of its process."""
    batches = 10
    await workplace.run("first")
    await writer.step()
    gc.collect()
    gc.disable()
    try:
        for number in range(batches):
            await workplace.run(f"job-{number}")
            assert await writer.step()
        left = gc.collect()
    finally:
        gc.enable()
    assert left < batches * OBJECTS_LEFT


async def test_a_succeeded_job_has_one_row_with_all_its_numbers(
    workplace: Workplace, writer: HistoryWriter, reader: HistoryReader
) -> None:
    await workplace.submit("a", tenant="ada")
    workplace.later(400)
    claimed = await workplace.claim()
    workplace.later(2_500)
    await workplace.complete(claimed, '{"image":"lake.png"}')
    await writer.step()
    (job,) = (await reader.recent_jobs()).jobs
    assert (job.job_id, job.status, job.tenant, job.pool, job.service) == ("a", "succeeded", "ada", "fast", "paint")
    assert (job.submitted_ms, job.started_ms, job.finished_ms) == (NOON_MS, NOON_MS + 400, NOON_MS + 2_900)
    assert (job.waited_ms, job.ran_ms, job.attempts, job.recoveries) == (400, 2_500, 0, 0)
    assert (job.machine, job.error_code, job.error_message) == ("m", None, None)
    assert (job.result_bytes, job.result_summary) == (20, '{"image":"lake.png"}')


async def test_a_failed_job_keeps_its_error(workplace: Workplace, writer: HistoryWriter, reader: HistoryReader) -> None:
    await workplace.submit("a")
    (claimed,) = await workplace.claim()
    await workplace.fail(claimed)
    await writer.step()
    (job,) = (await reader.recent_jobs()).jobs
    assert (job.status, job.error_code, job.error_message) == (JobStatus.FAILED, "BOOM", "it broke")
    assert (job.attempts, job.machine, job.result_bytes) == (1, "m", None)


async def test_an_error_message_cut_in_the_middle_of_a_letter_does_not_stop_the_history(
    workplace: Workplace, writer: HistoryWriter, reader: HistoryReader
) -> None:
    await workplace.submit("a")
    (claimed,) = await workplace.claim()
    await workplace.fail(claimed, message="x" + "é" * 2_000)
    await writer.step()
    (job,) = (await reader.recent_jobs()).jobs
    assert job.error_message == "x" + "é" * 1_023


async def test_a_nul_in_a_text_does_not_stop_the_history(
    workplace: Workplace, writer: HistoryWriter, reader: HistoryReader
) -> None:
    await workplace.submit("a")
    await workplace.cell.cancel(["a"], because="not\0wanted")
    await writer.step()
    (job,) = (await reader.recent_jobs()).jobs
    assert job.error_message == "not\ufffdwanted"
    (last,) = (await reader.job_events("a")).events[-1:]
    assert last.data["because"] == "not\0wanted"


async def test_a_canceled_job_that_never_started_has_no_times_of_running(
    workplace: Workplace, writer: HistoryWriter, reader: HistoryReader
) -> None:
    await workplace.submit("a")
    await workplace.cell.cancel(["a"], because="not wanted")
    await writer.step()
    (job,) = (await reader.recent_jobs()).jobs
    assert (job.status, job.error_message, job.machine) == (JobStatus.CANCELED, "not wanted", None)
    assert (job.started_ms, job.waited_ms, job.ran_ms) == (None, None, None)


async def test_a_replayed_job_is_not_finished_until_it_ends_again(
    workplace: Workplace, writer: HistoryWriter, reader: HistoryReader
) -> None:
    await workplace.submit("a")
    (claimed,) = await workplace.claim()
    await workplace.fail(claimed)
    await writer.step()
    found = await workplace.look("a")
    assert found is not None
    await _replay(workplace, "a")
    await writer.step()
    assert (await reader.recent_jobs()).jobs == []
    await workplace.complete(await workplace.claim())
    await writer.step()
    assert [job.status for job in (await reader.recent_jobs()).jobs] == [JobStatus.SUCCEEDED]


async def test_a_job_replayed_before_its_end_was_written_is_not_given_the_numbers_of_its_next_life(
    workplace: Workplace, database: HistoryDatabase, reader: HistoryReader
) -> None:
    await workplace.submit("a", tenant="ada")
    (claimed,) = await workplace.claim()
    await workplace.fail(claimed)
    failed = await workplace.latest_event()
    await _replay(workplace, "a")
    await writer_for(workplace, database, batch=failed).step()
    (job,) = (await reader.recent_jobs()).jobs
    assert (job.status, job.error_code, job.tenant) == (JobStatus.FAILED, "BOOM", "ada")
    assert (job.submitted_ms, job.waited_ms) == (None, None)


async def _replay(workplace: Workplace, job_id: str) -> None:
    found = await workplace.look(job_id)
    assert found is not None
    lane = {
        "key": found.lane_key,
        "class": "again",
        "pool": "fast",
        "vram_mb": 0,
        "words": [],
        "fits": [],
        "placements": [],
    }
    request = {"nonce": workplace.nonce(), "jobs": [{"id": job_id, "lane": lane}]}
    reply = await workplace.cell.call("replay", request, dict[str, list[list[str]]])
    assert reply["jobs"] == [[job_id, "ok"]]


async def test_pool_and_service_of_a_job_whose_lane_is_forgotten_come_from_its_body(
    workplace: Workplace, writer: HistoryWriter, reader: HistoryReader
) -> None:
    await workplace.run("a")
    workplace.later(61_000)
    await workplace.tick()
    found = await workplace.look("a")
    assert found is not None
    assert found.lane_key == ""
    await writer.step()
    (job,) = (await reader.recent_jobs()).jobs
    assert (job.pool, job.service) == ("fast", "paint")


async def test_a_finished_job_is_purged_only_after_the_history_has_its_end(
    workplace: Workplace, writer: HistoryWriter, reader: HistoryReader
) -> None:
    await workplace.run("a", retention_s=1.0)
    workplace.later(5_000)
    await workplace.tick()
    assert await workplace.look("a") is not None
    await writer.step()
    workplace.later(1_000)
    await workplace.tick()
    assert await workplace.look("a") is None
    assert [job.job_id for job in (await reader.recent_jobs()).jobs] == ["a"]


async def test_a_waiting_writer_hears_of_the_next_event_by_itself(
    workplace: Workplace, database: HistoryDatabase
) -> None:
    writer = writer_for(workplace, database)
    await writer.step()
    async with asyncio.timeout(30):
        waiting = asyncio.create_task(writer.step(wait_ms=10_000))
        await workplace.submit("a")
        assert await waiting >= 1


async def test_writers_of_two_cells_share_a_history(workplace: Workplace, database: HistoryDatabase) -> None:
    other = Workplace(workplace.cell.client)
    await other.open()
    await workplace.run("a")
    await other.run("a", "b")
    for place in (workplace, other):
        await writer_for(place, database).step()
        assert await stored_ids(database, place.name) == first_ids(await place.latest_event())


@pytest.mark.parametrize("rounds", [10])
async def test_of_two_racing_writers_one_advances_and_every_event_is_written_once(
    workplace: Workplace, database: HistoryDatabase, reader: HistoryReader, rounds: int
) -> None:
    writers = [writer_for(workplace, database, batch=5) for _ in range(2)]
    for number in range(rounds):
        await workplace.run(*(f"j{number}-{one}" for one in range(5)))
        await asyncio.gather(*(writer.step() for writer in writers))
    while await workplace.waiting_events():
        await asyncio.gather(*(writer.step() for writer in writers))
    assert await stored_ids(database, workplace.name) == first_ids(await workplace.latest_event())
    assert len((await reader.recent_jobs()).jobs) == rounds * 5
    assert await reader.gaps() == []


async def test_a_writer_that_was_overtaken_does_not_take_trimmed_events_for_lost_ones(
    workplace: Workplace, database: HistoryDatabase, reader: HistoryReader
) -> None:
    slow, quick = writer_for(workplace, database), writer_for(workplace, database)
    await workplace.run("a")
    await slow.step()
    await workplace.run("b")
    await quick.step()
    await workplace.run("c")
    assert await slow.step() == 0
    assert await slow.step() > 0
    assert await stored_ids(database, workplace.name) == first_ids(await workplace.latest_event())
    assert await reader.gaps() == []
