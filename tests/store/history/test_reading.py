"""Pages by key, totals by name, and forgetting what is old."""

from __future__ import annotations

import pytest

from northstar.domain.jobs import JobStatus
from northstar.store.history import HistoryDatabase, HistoryReader, HistoryWriter, Pruned, Total, prune
from northstar.store.history.errors import HistoryQueryInvalid
from tests.store.history.workplace import NOON_MS, Workplace


async def test_recent_jobs_come_in_pages_latest_first(
    workplace: Workplace, writer: HistoryWriter, reader: HistoryReader
) -> None:
    for number in range(7):
        await workplace.run(f"j{number}")
        workplace.later(number % 2)  # some end in the same millisecond
    await writer.step()
    first = await reader.recent_jobs(count=3)
    second = await reader.recent_jobs(count=3, after=first.after)
    third = await reader.recent_jobs(count=3, after=second.after)
    assert [[job.job_id for job in page.jobs] for page in (first, second, third)] == [
        ["j6", "j5", "j4"],
        ["j3", "j2", "j1"],
        ["j0"],
    ]
    assert third.after == ""


async def test_recent_jobs_can_be_those_of_one_tenant_or_one_state(
    workplace: Workplace, writer: HistoryWriter, reader: HistoryReader
) -> None:
    await workplace.run("a", tenant="ada")
    await workplace.run("b", tenant="bob")
    await workplace.submit("c", tenant="ada")
    await workplace.cell.cancel(["c"], because="not wanted")
    await writer.step()
    assert {job.job_id for job in (await reader.recent_jobs(tenant="ada")).jobs} == {"a", "c"}
    assert [job.job_id for job in (await reader.recent_jobs(status=JobStatus.CANCELED)).jobs] == ["c"]
    assert (await reader.recent_jobs(tenant="bob", status=JobStatus.CANCELED)).jobs == []


async def test_the_events_of_a_job_come_in_order_and_in_pages(
    workplace: Workplace, writer: HistoryWriter, reader: HistoryReader
) -> None:
    await workplace.run("a", "b")
    await writer.step()
    first = await reader.job_events("a", count=2)
    assert first.after is not None
    second = await reader.job_events("a", after=first.after, count=2)
    told = first.events + second.events
    assert [event.kind for event in told] == ["job.submitted", "job.started", "job.succeeded"]
    assert [event.number for event in told] == [1, 2, 3]
    assert told[0].data["tenant"] == "default"
    assert second.after is None


async def test_totals_count_and_average_by_any_name_within_a_time(
    workplace: Workplace, writer: HistoryWriter, reader: HistoryReader
) -> None:
    for tenant, ran_ms in (("ada", 100), ("ada", 300), ("bob", 50)):
        await workplace.submit(f"{tenant}{ran_ms}", tenant=tenant)
        claimed = await workplace.claim()
        workplace.later(ran_ms)
        await workplace.complete(claimed)
    await workplace.submit("c", tenant="bob")
    await workplace.cell.cancel(["c"], because="not wanted")
    await writer.step()
    by_tenant = await reader.totals(since_ms=0, until_ms=NOON_MS + 10_000, by="tenant")
    assert by_tenant == [Total("ada", 2, 2, 0.0, 200.0), Total("bob", 2, 1, 0.0, 50.0)]
    by_status = await reader.totals(since_ms=0, until_ms=NOON_MS + 10_000)
    assert [(total.name, total.jobs) for total in by_status] == [("succeeded", 3), ("canceled", 1)]
    assert by_status[1].ran_ms_mean is None
    assert await reader.totals(since_ms=0, until_ms=NOON_MS) == []


@pytest.mark.parametrize("cursor", ["x", "12", "12.", ".a", "-1.a", "9" * 40 + ".a"])
async def test_a_cursor_that_no_page_has_given_is_refused(reader: HistoryReader, cursor: str) -> None:
    with pytest.raises(HistoryQueryInvalid, match="is no cursor that a page has given"):
        await reader.recent_jobs(after=cursor)


@pytest.mark.parametrize("count", [0, -1, 1_001])
async def test_a_page_has_bounds(reader: HistoryReader, database: HistoryDatabase, count: int) -> None:
    with pytest.raises(
        HistoryQueryInvalid, match=f"count of the query on the history cannot be used: {count} is not 1"
    ):
        await reader.recent_jobs(count=count)
    with pytest.raises(HistoryQueryInvalid):
        await reader.job_events("a", count=count)
    with pytest.raises(HistoryQueryInvalid):
        await prune(database, cell="c", older_than_ms=0, budget=count * 11)
    with pytest.raises(HistoryQueryInvalid, match="lies before since_ms"):
        await reader.totals(since_ms=2, until_ms=1)


async def test_pruning_forgets_what_is_old_a_piece_at_a_time_and_nothing_younger(
    workplace: Workplace, database: HistoryDatabase, writer: HistoryWriter, reader: HistoryReader
) -> None:
    await workplace.run(*(f"old{number}" for number in range(10)))
    workplace.later(10_000)
    await workplace.run("young")
    await writer.step()
    pieces: list[Pruned] = []
    while not pieces or pieces[-1].more:
        pieces.append(await prune(database, cell=workplace.name, older_than_ms=NOON_MS + 10_000, budget=7))
    assert all(piece.events <= 7 for piece in pieces)
    assert sum(piece.jobs for piece in pieces) == 10
    assert [job.job_id for job in (await reader.recent_jobs()).jobs] == ["young"]
    assert (await reader.job_events("old1")).events == []
    assert len((await reader.job_events("young")).events) == 3


async def test_a_writer_goes_on_after_everything_was_pruned(
    workplace: Workplace, database: HistoryDatabase, writer: HistoryWriter, reader: HistoryReader
) -> None:
    await workplace.run("a")
    await writer.step()
    await prune(database, cell=workplace.name, older_than_ms=NOON_MS + 1)
    await workplace.run("b")
    await writer.step()
    assert [job.job_id for job in (await reader.recent_jobs()).jobs] == ["b"]
    assert await reader.gaps() == []
