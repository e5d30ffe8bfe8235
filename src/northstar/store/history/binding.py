"""One cell and one history belong to each other, each known by an id of its own; whoever else comes is told.

Two histories of one cell would each have the cell forget what the other has not read; two cells of one name in one history
would each be taken for the other. So the cell keeps the id of its history, and the history the id of its cell.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from northstar.store.history.bond import cut
from northstar.store.history.errors import HistoryForeign
from northstar.store.history.tables import cells, identity
from northstar.store.history.upserting import insert_if_absent
from northstar.store.messages import BindReply

if TYPE_CHECKING:
    from collections.abc import Callable

    from northstar.store.cell import Cell
    from northstar.store.history.database import HistoryDatabase


async def bind(
    cell: Cell, cell_id: str, database: HistoryDatabase, *, new_id: Callable[[], str], host: str, take: bool = False
) -> str:
    """Tie the cell, known by `cell_id`, to the history in `database`; gives the history's id. May be repeated.

    `take` takes the cell from the history that has it now: what that one has not read yet goes here, what it has stays there.

    Raises:
        HistoryForeign: the history is another cell's of this name. HistoryElsewhere: the cell has another history.
        Unavailable: one of the two does not answer.
    """
    history = await database.write(partial(_meet, cell=cell.name, cell_id=cell_id, new_id=new_id()))
    if history is None:
        raise HistoryForeign(place=database.place, cell=cell.name)
    request = {"history": history, "place": cut(database.place, 500), "host": cut(host, 128), "take": take}
    await cell.call("bind_history", request, BindReply)
    # Only now: a history that the cell does not want belongs to nobody.
    await database.write(partial(_remember, cell=cell.name, cell_id=cell_id))
    return history


async def history_id(database: HistoryDatabase) -> str:
    """What this history is known by; empty for one that never met a cell. Raises Unavailable."""
    found = await database.read(lambda connection: connection.execute(select(identity.c.id)).scalar())
    return found or ""


def _meet(connection: Connection, *, cell: str, cell_id: str, new_id: str) -> str | None:
    """The history's id, which it gets now if it has none; None when it is another cell's of this name."""
    known = connection.execute(select(cells.c.id).where(cells.c.cell == cell)).scalar()
    if known not in {None, cell_id}:
        return None
    # Whoever comes second waits for the first one's transaction, and then has its id.
    connection.execute(insert_if_absent(connection, identity), {"part": "history", "id": new_id})
    found: str = connection.execute(select(identity.c.id)).scalar_one()
    return found


def _remember(connection: Connection, *, cell: str, cell_id: str) -> None:
    connection.execute(insert_if_absent(connection, cells), {"cell": cell, "id": cell_id})
