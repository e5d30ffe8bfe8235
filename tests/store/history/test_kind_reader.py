"""Events of some kinds, the latest first, however far apart they lie and over how many servers."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, insert

from northstar.domain.events import EventId
from northstar.store.history import HistoryDatabase
from northstar.store.history.kind_reader import KindReader
from northstar.store.history.tables import events


async def written(database: HistoryDatabase, *ids: tuple[int, int, str]) -> None:
    rows: list[dict[str, Any]] = [
        {"cell": cell, "epoch": epoch, "sequence": sequence, "kind": kind, "subject": "s", "number": 0, "at_ms": 1, "data": {}}
        for cell in ("c", "other")
        for epoch, sequence, kind in ids
    ]  # fmt: skip

    def put(connection: Connection) -> None:
        connection.execute(insert(events), rows)

    await database.write(put)


@pytest.mark.parametrize("stretch", [1, 2, 3, 100])
@pytest.mark.parametrize("count", [1, 2, 100])
async def test_all_are_found_once_in_their_order_whatever_is_looked_at_a_time(
    database: HistoryDatabase, stretch: int, count: int
) -> None:
    # The second server had lost the end of the first one's events, and counted on from before it.
    first = [(1, number, "act" if number in {2, 9} else "noise") for number in range(1, 10)]
    second = [(2, number, "act" if number in {8, 12} else "noise") for number in range(8, 14)]
    await written(database, *first, *second)
    reader = KindReader(database, cell="c")
    found: list[EventId] = []
    before: EventId | None = None
    for _ in range(40):
        look = await reader.latest(("act",), before=before, count=count, stretch=stretch)
        found += [event.id for event in look.events]
        before = look.before
        if before is None:
            break
    assert before is None
    assert found == [EventId(2, 12), EventId(2, 8), EventId(1, 9), EventId(1, 2)]


async def test_an_empty_history_has_nothing_older(database: HistoryDatabase) -> None:
    look = await KindReader(database, cell="c").latest(("act",), before=None, count=10)
    assert (look.events, look.before) == ([], None)
