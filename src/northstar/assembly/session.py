"""A client's way to a cell: which server, which cell, and the parts that speak to them."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec

from northstar.assembly.run_file import read_run_file
from northstar.config import Settings
from northstar.store.cell import Cell
from northstar.store.valkey import connect

if TYPE_CHECKING:
    from northstar.broker.admission import Admission
    from northstar.broker.dead_letters import DeadLetters


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A cell on a server. The repr hides the address, which may hold a password."""

    url: str
    cell: str

    def __repr__(self) -> str:
        return f"Place(cell={self.cell!r})"


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """What a command needs to speak to a cell. What only some commands want is loaded and made when they ask for it."""

    cell: Cell
    settings: Settings

    @property
    def dead_letters(self) -> DeadLetters:
        """The cell's failed jobs."""
        from northstar.broker.dead_letters import DeadLetters  # noqa: PLC0415

        return DeadLetters(self.cell, new_nonce=new_id)

    @property
    def admission(self) -> Admission:
        """Who lets machines into the cell."""
        from northstar.broker.admission import Admission  # noqa: PLC0415

        return Admission(self.cell, random_bytes=secrets.token_bytes, monotonic=time.monotonic)


def find_place(settings: Settings) -> Place:
    """The server that the settings name, else the one that runs on the data directory.

    Raises:
        NotRunning: neither is there.
    """
    if settings.valkey.url:
        return Place(url=settings.valkey.url, cell=settings.cell_name)
    running = read_run_file(settings.data_path)
    return Place(url=running.url, cell=settings.cell or running.cell)


@asynccontextmanager
async def session(settings: Settings) -> AsyncIterator[Session]:
    """Speak to the cell that the settings mean. Joins it and never makes one, so a misspelt name is found out.

    Raises:
        NotRunning: there is no server. UrlInvalid: its address cannot be understood.
    """
    place = find_place(settings)
    client = connect(place.url)
    try:
        yield Session(cell=Cell(client, place.cell), settings=settings)
    finally:
        await client.aclose()


def new_id() -> str:
    """104 random bits: enough that nobody's ids ever meet."""
    return secrets.token_hex(13)


def wall_clock_ms() -> int:
    """This host's time, ms since the epoch."""
    return time.time_ns() // 1_000_000
