"""Saying, for as long as a process runs, which version of the function library it uses, and removing older ones that nobody uses any more."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from northstar.domain.errors import NorthstarError, Unavailable
from northstar.store.cell import Cell
from northstar.store.library_loader import ANNOUNCEMENT_MS, announce, announced_versions, retire_unused, withdraw
from northstar.telemetry import logger

log = logger(__name__)

_LOOK_EVERY_S: Final = ANNOUNCEMENT_MS / 3_000


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
        await asyncio.sleep(_LOOK_EVERY_S)
        await _announce(cell, process=process)


async def _announce(cell: Cell, *, process: str) -> None:
    try:
        await announce(cell.client, process=process, version=cell.library.version)
    except Unavailable as exc:
        log.debug("announcement_failed", code=exc.code, error=str(exc))


@asynccontextmanager
async def older_versions_retired(cell: Cell, *, look_every_s: float = _LOOK_EVERY_S) -> AsyncIterator[None]:
    """Remove older versions that nobody announces: at once, and each time when the last process of one has gone.

    Raises:
        Unavailable: at the beginning; later it is tried again.
    """
    in_use = await _older_in_use(cell)
    await retire_unused(cell.client, cell.library)
    task = asyncio.create_task(_retire_for_ever(cell, in_use, look_every_s=look_every_s), name="retire")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _retire_for_ever(cell: Cell, in_use: frozenset[int], *, look_every_s: float) -> None:
    """Only where one was in use before are all servers asked for what they have loaded: most of the time nobody upgrades."""
    while True:
        await asyncio.sleep(look_every_s)
        try:
            now = await _older_in_use(cell)
            if in_use - now:
                for version in await retire_unused(cell.client, cell.library):
                    log.info("library_retired", cell=cell.name, version=version)
            in_use = now
        except NorthstarError as exc:
            log.debug("libraries_not_looked_at", code=exc.code, error=str(exc))


async def _older_in_use(cell: Cell) -> frozenset[int]:
    versions = await announced_versions(cell.client)
    return frozenset(version for version in versions if version < cell.library.version)
