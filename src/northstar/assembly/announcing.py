"""Saying, for as long as a process runs, which version of the function library it uses."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from northstar.domain.errors import NorthstarError, Unavailable
from northstar.store.cell import Cell
from northstar.store.library_loader import ANNOUNCEMENT_MS, announce, withdraw
from northstar.telemetry import logger

log = logger(__name__)


@asynccontextmanager
async def announced(cell: Cell, *, process: str) -> AsyncIterator[None]:
    """Announce the library's version at once and three times per announcement's life; withdraw at the end."""
    await _announce(cell, process=process)  # known to others before this one looks at them
    task = asyncio.create_task(_announce_for_ever(cell, process=process), name="announce")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
        with contextlib.suppress(NorthstarError, TimeoutError):
            async with asyncio.timeout(2.0):
                await withdraw(cell.client, process=process, version=cell.library.version)


async def _announce_for_ever(cell: Cell, *, process: str) -> None:
    while True:
        await asyncio.sleep(ANNOUNCEMENT_MS / 3_000)
        await _announce(cell, process=process)


async def _announce(cell: Cell, *, process: str) -> None:
    try:
        await announce(cell.client, process=process, version=cell.library.version)
    except Unavailable as exc:
        log.debug("announcement_failed", code=exc.code, error=str(exc))
