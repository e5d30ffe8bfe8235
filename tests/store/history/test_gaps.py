"""What the history cannot know is written down where it is missing, never passed over."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from northstar.domain.events import EventId
from northstar.store.history import BEGINNING, Gap, HistoryDatabase, HistoryReader, HistoryWriter
from northstar.store.history.errors import HistoryMismatch
from tests.store.history.conftest import writer_for
from tests.store.history.stored import first_ids, stored_ids
from tests.store.history.workplace import NOON_MS, Workplace


async def test_missing_events_are_recorded_and_logged_and_the_history_goes_on(
    workplace: Workplace, database: HistoryDatabase, writer: HistoryWriter, reader: HistoryReader
) -> None:
    await workplace.submit("a")
    last = await writer.step()
    await workplace.submit("b", "c", "d")
    keys, client = workplace.cell.keys, workplace.cell.client
    await client.execute_command("XTRIM", keys["events"], "MINID", "=", f"1-{last + 3}")
    with capture_logs() as lines:
        await writer.step()
    gap = Gap(
        last=EventId(1, last),
        next=EventId(1, last + 3),
        reason="events_missing",
        missing=2,
        disowned=0,
        at_ms=NOON_MS,
    )
    assert await reader.gaps() == [gap]
    (line,) = [line for line in lines if line["event"] == "history_gap"]
    assert (line["log_level"], line["missing"], line["cell"]) == ("warning", 2, workplace.name)
    assert (await stored_ids(database, workplace.name))[-1] == EventId(1, last + 3)


async def test_a_history_begun_late_says_what_came_before_it(
    workplace: Workplace, writer: HistoryWriter, reader: HistoryReader
) -> None:
    await workplace.run("a")
    seen = await workplace.latest_event()
    await workplace.cell.events_committed(epoch=1, event=seen)
    await workplace.submit("b")
    await writer.step()
    (gap,) = await reader.gaps()
    assert (gap.last, gap.next, gap.missing) == (BEGINNING, EventId(1, seen + 1), seen)


async def test_a_change_of_server_is_recorded_even_where_no_number_is_missing(
    workplace: Workplace, writer: HistoryWriter, reader: HistoryReader
) -> None:
    await workplace.submit("a")
    last = await writer.step()
    await workplace.change_server("another")
    await workplace.submit("b")
    await writer.step()
    (gap,) = await reader.gaps()
    assert (gap.last, gap.next, gap.reason) == (EventId(1, last), EventId(2, last + 1), "server_changed")
    assert (gap.missing, gap.disowned) == (0, 0)


async def test_a_promotion_that_lost_events_leaves_both_sides_in_the_history(
    workplace: Workplace, database: HistoryDatabase, writer: HistoryWriter, reader: HistoryReader
) -> None:
    await workplace.submit("a")
    replica, kept = await workplace.copy(), await workplace.latest_event()
    await workplace.run("b", "c")
    last = await writer.step()
    await workplace.promote(replica, "replica")
    await workplace.submit("d")
    await writer.step()
    ids = await stored_ids(database, workplace.name)
    assert ids == [*first_ids(last), EventId(2, kept + 1)]
    (gap,) = await reader.gaps()
    assert (gap.reason, gap.missing, gap.disowned) == ("server_changed", 0, last - kept)


async def test_numbers_given_again_after_a_promotion_are_not_taken_for_written_ones(
    workplace: Workplace, database: HistoryDatabase, writer: HistoryWriter, reader: HistoryReader
) -> None:
    replica = await workplace.copy()
    await workplace.run("b", "c")
    await writer.step()
    await workplace.promote(replica, "replica")
    await workplace.run("d", "e", "f", retention_s=1.0)
    again = writer_for(workplace, database, batch=1)
    assert await again.step() == 1
    workplace.later(5_000)
    await workplace.tick()
    assert await workplace.look("f") is not None
    while await again.step():
        pass
    assert await workplace.committed_event() == await workplace.latest_event()
    finished = {job.job_id: job.waited_ms for job in (await reader.recent_jobs()).jobs}
    assert finished == dict.fromkeys("bcdef", 0)


async def test_after_a_promotion_a_new_writer_tells_the_cell_only_what_the_cell_still_has(
    workplace: Workplace, database: HistoryDatabase, writer: HistoryWriter
) -> None:
    await workplace.submit("a")
    replica, kept = await workplace.copy(), await workplace.latest_event()
    await workplace.run("b", "c")
    last = await writer.step()
    await workplace.promote(replica, "replica")
    assert await writer_for(workplace, database).step() == 0
    assert await workplace.committed_event() == kept
    await workplace.run("d", "e", "f")
    assert await workplace.latest_event() > last
    assert await workplace.cell.events_committed(epoch=1, event=last) == await workplace.latest_event() - kept
    assert await workplace.committed_event() == kept


async def test_a_cell_made_anew_under_the_same_name_is_not_mixed_into_the_history_of_the_old_one(
    workplace: Workplace, database: HistoryDatabase, writer: HistoryWriter
) -> None:
    await workplace.run("a", "b")
    last = await writer.step()
    await workplace.erase()
    again = Workplace(workplace.cell.client, workplace.name)
    await again.open(now_ms=NOON_MS + 60_000)
    with pytest.raises(HistoryMismatch) as refused:
        await writer_for(again, database).step()
    sentence = str(refused.value)
    assert f"has cell {workplace.name!r} up to event 1-{last}, but the cell itself is only at 1-1" in sentence
    assert "the cell was made anew, or is an older copy; give it another history database or another name" in sentence
    await again.change_server("another")
    await again.submit("a")
    with pytest.raises(HistoryMismatch, match=r"the cell has another event 1-1 \(machine.registered\)"):
        await writer_for(again, database).step()
    assert await stored_ids(database, workplace.name) == first_ids(last)


async def test_numbers_given_again_under_the_old_epoch_are_not_passed_over(
    workplace: Workplace, database: HistoryDatabase, writer: HistoryWriter
) -> None:
    replica = await workplace.copy()
    await workplace.submit("a", "b", "c")
    last = await writer.step()
    await workplace.restore(replica)
    await workplace.submit("d", "e", "f")
    with pytest.raises(HistoryMismatch, match=rf"the cell has another event 1-{last} \(job.submitted\)"):
        await writer_for(workplace, database).step()


async def test_a_restored_older_history_takes_up_where_it_stands_and_names_what_it_lacks(
    workplace: Workplace, database: HistoryDatabase, writer: HistoryWriter, reader: HistoryReader
) -> None:
    await workplace.submit("a")
    old = await writer.step()
    await workplace.submit("b")
    await workplace.cell.events_committed(epoch=1, event=await workplace.latest_event())
    await workplace.submit("c")
    await writer_for(workplace, database).step()
    (gap,) = await reader.gaps()
    assert (gap.last, gap.missing) == (EventId(1, old), 1)
