"""What the programs of this package are told at their start, and what they all do first."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from northstar.domain.errors import Unavailable
from northstar.domain.limits import CellLimits
from northstar.store.cell import Cell
from northstar.store.valkey import connect
from tests.acceptance.heartbeat import beat

Orders = TypeVar("Orders", bound="Common")

#: A program that nobody ends does so itself.
LIFE_S = 3_600


class Common(msgspec.Struct, frozen=True, kw_only=True):
    """`journal` gets lines as `Journal` writes them; `heartbeat` shows that the loop of this process turns."""

    url: str
    cell: str
    limits: CellLimits
    journal: Path
    heartbeat: Path
    seed: int


class WorkerOrders(Common, frozen=True, kw_only=True):
    """Machines of one process."""

    machines: tuple[str, ...]
    slots: int
    renew_every_s: float
    drain_s: float = 5.0
    #: Models in the memory of the first machine, and how fast the others could fetch them.
    models: tuple[str, ...] = ()
    download_bytes_per_s: float = 0.0


class AgentOrders(WorkerOrders, frozen=True, kw_only=True):
    """Machines of one process that dial a broker; each has a token. Each shows by a heartbeat of its own that it is connected."""

    tokens: tuple[str, ...]
    broker: str
    ping_every_s: float


class ServeOrders(Common, frozen=True, kw_only=True):
    """A broker with these settings; its port gets into the file `port` when machines can dial it."""

    settings: Path
    port: Path


class DispatcherOrders(Common, frozen=True, kw_only=True):
    """A dispatcher with nothing to say about it."""


class ClientOrders(Common, frozen=True, kw_only=True):
    """Submit jobs `first` to `last`, in order, in batches of random size, and end."""

    first: int
    last: int
    batch: int
    work_ms: tuple[int, int]
    pause_s: float


class HunterOrders(Common, frozen=True, kw_only=True):
    """Act at random for so many seconds, with pauses of this mean between two acts."""

    name: str
    for_s: float
    pause_s: float


def nonce() -> str:
    return secrets.token_hex(8)


def main(kind: type[Orders], work: Callable[[Orders], Awaitable[None]]) -> None:
    """Read the orders, work, and end with status 0."""
    signal.alarm(LIFE_S)
    orders = msgspec.json.decode(sys.argv[1], type=kind, dec_hook=lambda path, text: path(text))

    async def both() -> None:
        beating = asyncio.create_task(beat(orders.heartbeat))
        try:
            await work(orders)
        finally:
            beating.cancel()

    asyncio.run(both())


@contextlib.asynccontextmanager
async def opened(orders: Common) -> AsyncIterator[Cell]:
    """A client and the cell on it; the server may be away at the moment."""
    client = connect(orders.url)
    try:
        cell = Cell(client, orders.cell)
        while True:
            try:
                await cell.open(orders.limits)
                break
            except Unavailable as exc:
                if not exc.retryable:
                    raise
                await asyncio.sleep(0.05)
        yield cell
    finally:
        await client.aclose()
