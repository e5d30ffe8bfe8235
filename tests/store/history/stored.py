"""What a history holds, read as an outsider would."""

from __future__ import annotations

from sqlalchemy import select

from northstar.domain.events import EventId
from northstar.store.history import HistoryDatabase
from northstar.store.history.rows import read_offset
from northstar.store.history.tables import events


async def stored_ids(database: HistoryDatabase, cell: str) -> list[EventId]:
    query = select(events.c.epoch, events.c.sequence).where(events.c.cell == cell)
    ordered = query.order_by(events.c.epoch, events.c.sequence)
    return await database.read(lambda connection: [EventId(*row) for row in connection.execute(ordered)])


async def stored_offset(database: HistoryDatabase, cell: str) -> EventId:
    return await database.read(lambda connection: read_offset(connection, cell))


def first_ids(count: int, *, epoch: int = 1) -> list[EventId]:
    return [EventId(epoch, sequence) for sequence in range(1, count + 1)]
