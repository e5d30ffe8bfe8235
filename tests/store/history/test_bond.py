"""One cell, one history: whoever would make it two is told, and nothing is trimmed that the history has not read."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from northstar.domain.limits import CellLimits
from northstar.domain.refusals import HistoryElsewhere
from northstar.store.history import Bond, HistoryDatabase, bind, read_bond
from northstar.store.history.errors import HistoryForeign, HistoryGone
from northstar.store.history.state import read_history_state
from tests.store.history.conftest import OPTIONS, writer_for
from tests.store.history.workplace import NOON_MS, Workplace

_NUMBERS = itertools.count(1)


def new_id() -> str:
    return f"id{next(_NUMBERS)}"


async def bound(workplace: Workplace, database: HistoryDatabase, *, cell_id: str = "cell-1", take: bool = False) -> str:
    return await bind(workplace.cell, cell_id, database, new_id=new_id, host="a-host", take=take)


@pytest_asyncio.fixture
async def other(tmp_path: Path) -> AsyncIterator[HistoryDatabase]:
    """Another history than `database`."""
    opened = HistoryDatabase(f"sqlite:///{tmp_path}/other.db", options=OPTIONS)
    await opened.open()
    yield opened
    await opened.close()


async def test_a_cell_keeps_its_id_however_often_it_is_opened(workplace: Workplace) -> None:
    cell = workplace.cell
    assert (await cell.open(CellLimits(), clock="virtual")).id == ""
    first = await cell.open(CellLimits(), clock="virtual", new_id=new_id)
    again = await cell.open(CellLimits(), clock="virtual", new_id=new_id)
    assert first.id == again.id != ""
    await workplace.erase()
    assert (await cell.open(CellLimits(), clock="virtual", new_id=new_id)).id != first.id


async def test_whoever_comes_with_the_same_history_writes_it_too(
    workplace: Workplace, database: HistoryDatabase
) -> None:
    history = await bound(workplace, database)
    assert await bound(workplace, database) == history
    assert await read_bond(workplace.cell) == Bond(history, database.place, "a-host", NOON_MS)
    await workplace.run("a")
    assert await writer_for(workplace, database, history=history).step() > 0
    assert await workplace.waiting_events() == 0


async def test_another_history_of_the_same_cell_is_refused_and_may_not_trim(
    workplace: Workplace, database: HistoryDatabase, other: HistoryDatabase
) -> None:
    await bound(workplace, database)
    with pytest.raises(HistoryElsewhere, match=r"go to another history, .*set history\.url .* --take-history"):
        await bound(workplace, other)
    await workplace.run("a")
    before = await workplace.waiting_events()
    with pytest.raises(HistoryElsewhere):
        await writer_for(workplace, other).step()
    assert await workplace.waiting_events() == before


async def test_a_refused_history_belongs_to_nobody(
    workplace: Workplace, database: HistoryDatabase, other: HistoryDatabase
) -> None:
    await bound(workplace, database)
    with pytest.raises(HistoryElsewhere):
        await bound(workplace, other)
    await workplace.erase()
    await workplace.open()
    assert await bound(workplace, other, cell_id="cell-2")


async def test_a_history_can_be_taken_and_then_the_former_one_writes_no_more(
    workplace: Workplace, database: HistoryDatabase, other: HistoryDatabase
) -> None:
    former = writer_for(workplace, database, history=await bound(workplace, database))
    await workplace.run("a")
    await former.step()
    history = await bound(workplace, other, take=True)
    await workplace.run("b")
    with pytest.raises(HistoryElsewhere):
        await former.run()
    assert await writer_for(workplace, other, history=history).step() > 0


async def test_a_history_of_another_cell_of_the_same_name_is_recognised(
    workplace: Workplace, database: HistoryDatabase
) -> None:
    await bound(workplace, database)
    await workplace.erase()
    await workplace.open()
    with pytest.raises(HistoryForeign, match=f"that of another cell named '{workplace.name}'.*Move that history away"):
        await bound(workplace, database, cell_id="cell-2")
    with pytest.raises(HistoryForeign):
        await bound(workplace, database, cell_id="cell-2", take=True)
    assert await read_bond(workplace.cell) is None


async def test_a_crash_between_the_two_halves_of_the_bond_is_made_good_at_the_next_start(
    workplace: Workplace, database: HistoryDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("northstar.store.history.binding._remember", crash)
        with pytest.raises(KeyboardInterrupt):
            await bound(workplace, database)
    await bound(workplace, database)
    with pytest.raises(HistoryForeign):
        await bound(workplace, database, cell_id="cell-2")


async def test_the_cell_says_why_its_history_is_stuck_until_it_goes_on(
    workplace: Workplace, sqlite_database: HistoryDatabase
) -> None:
    writer = writer_for(workplace, sqlite_database, history=await bound(workplace, sqlite_database))
    await workplace.submit("a")
    await writer._note(HistoryGone(place="there", reason="the file is not there"))
    workplace.later(5_000)
    await writer._note(HistoryGone(place="there", reason="the file is still not there"))
    state = await read_history_state(workplace.cell, now_ms=NOON_MS + 8_000)
    assert (state.stuck, state.code, state.waiting_ms) == (True, "NS_HISTORY_GONE", 8_000)
    assert "still not there" in state.sentence
    await writer._note(None)
    state = await read_history_state(workplace.cell, now_ms=NOON_MS + 8_000)
    assert (state.stuck, state.code, state.place) == (False, "", sqlite_database.place)


async def test_events_that_nobody_writes_are_told_from_events_that_are_about_to_be_written(
    workplace: Workplace,
) -> None:
    await workplace.submit("a")
    assert not (await read_history_state(workplace.cell, now_ms=NOON_MS + 1_000)).stuck
    forgotten = await read_history_state(workplace.cell, now_ms=NOON_MS + 60_000)
    assert (forgotten.stuck, forgotten.waiting_ms, forgotten.code) == (True, 60_000, "")
