"""Parts that every broker process is made of: each runs beside the others, and says so when it ends by itself."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

from northstar.assembly.session import new_id
from northstar.broker.fleet_log import FleetLog
from northstar.config import Settings
from northstar.domain.errors import NorthstarError, Unavailable
from northstar.store.cell import Cell
from northstar.store.history import HistoryDatabase, HistoryWriter, bind, prune
from northstar.telemetry import logger

log = logger(__name__)

_DAY_MS: Final = 86_400_000
_PRUNE_EVERY_S: Final = 3_600.0
_NEXT_PIECE_S: Final = 1.0
_LAST_EVENTS_S: Final = 5.0


class PartEnded(NorthstarError):
    """A part that must run for ever has ended."""

    code = "NS_PART_ENDED"

    def __init__(self, part: str, reason: str) -> None:
        super().__init__(f"{part} has ended ({reason}), so North Star stops; its log says more")
        self.part = part


@asynccontextmanager
async def part(name: str, work: Coroutine[Any, Any, None], *, failure: asyncio.Future[None]) -> AsyncIterator[None]:
    """Run a part beside us; if it ends by itself, say so through `failure`."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(told(name, failure))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
        if failure.done() and not failure.cancelled():
            failure.exception()  # seen: whoever waits for it has been told


def told(name: str, failure: asyncio.Future[None]) -> Callable[[asyncio.Task[None]], None]:
    """What says that a part has ended by itself."""

    def tell(ended: asyncio.Task[None]) -> None:
        if ended.cancelled() or failure.done():
            return
        exc = ended.exception()
        failure.set_exception(exc if isinstance(exc, NorthstarError) else PartEnded(name, repr(exc)))

    return tell


async def running_history(
    settings: Settings, cell: Cell, stack: AsyncExitStack, *, cell_id: str, take: bool, failure: asyncio.Future[None]
) -> HistoryDatabase:
    """The history, written and pruned beside us; `take` takes the cell, known by `cell_id`, from the history that has it.

    Raises:
        HistoryForeign, HistoryElsewhere, HistoryMismatch: cell and history do not belong to each other.
        Unavailable: the database cannot be used.
    """
    database = HistoryDatabase(settings.history_url)
    await database.open()
    stack.push_async_callback(database.close)
    history = await bind(cell, cell_id, database, new_id=new_id, host=socket.gethostname(), take=take)
    writer = HistoryWriter(cell, database, jitter=random.random, history=history, heard=FleetLog(cell.name).hear)
    await writer.begin()
    await stack.enter_async_context(part("the history", writer.run(), failure=failure))
    stack.push_async_callback(_until_written, writer, cell)
    pruning = _prune_for_ever(database, cell=cell.name, keep_days=settings.history.keep_days)
    await stack.enter_async_context(part("the pruning of the history", pruning, failure=failure))
    return database


async def _until_written(writer: HistoryWriter, cell: Cell) -> None:
    """At the end, give the writer a moment for the last events; what it does not get waits in the cell, losing nothing."""
    with contextlib.suppress(TimeoutError, Unavailable):
        async with asyncio.timeout(_LAST_EVENTS_S):
            while writer.fault is None:
                counts = (await cell.statistics()).counts
                if counts["event"] <= counts["committed_event"]:
                    return
                await asyncio.sleep(0.05)


async def _prune_for_ever(database: HistoryDatabase, *, cell: str, keep_days: int) -> None:
    while True:
        is_more = False
        try:
            older_than_ms = int(time.time() * 1000) - keep_days * _DAY_MS
            is_more = (await prune(database, cell=cell, older_than_ms=older_than_ms)).more
        except Unavailable as exc:
            log.warning("history_not_pruned", code=exc.code, error=str(exc))
        # A piece at a time: the writer comes between any two.
        await asyncio.sleep(_NEXT_PIECE_S if is_more else _PRUNE_EVERY_S)
