"""A writer as a process of its own, to be killed: `python -m tests.store.history.writer_process SERVER CELL HISTORY [mute]`.

It prints a line when it runs. With `mute` it stops for ever before it tells the cell what it has committed, and prints that.
"""

from __future__ import annotations

import asyncio
import random
import sys

from northstar.store.cell import Cell
from northstar.store.history import HistoryDatabase, HistoryWriter
from northstar.store.valkey import connect


class MuteCell(Cell):
    """Never says anything after the commit."""

    async def events_committed(self, *, epoch: int, event: int, history: str = "") -> int:
        print("committed", epoch, event, flush=True)
        await asyncio.Event().wait()
        return 0


async def main() -> None:
    server, name, history, *mute = sys.argv[1:]
    client = connect(server)
    cell = (MuteCell if mute else Cell)(client, name)
    cell.now_ms = 1_700_000_000_000
    database = HistoryDatabase(history)
    await database.open()
    print("running", flush=True)
    writer = HistoryWriter(cell, database, jitter=random.Random(1).random, batch=10, gather_s=0.0)
    await writer.run()


asyncio.run(main())
