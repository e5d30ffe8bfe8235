"""One cell with real processes around it: started, killed and started again by the test."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

from northstar.domain.errors import Unavailable
from northstar.domain.limits import CellLimits
from northstar.store.cell import Cell
from northstar.store.valkey import connect
from tests.acceptance.history import History, read_history
from tests.acceptance.journal import read_journal
from tests.acceptance.orders import (
    AgentOrders,
    ClientOrders,
    Common,
    DispatcherOrders,
    HunterOrders,
    ServeOrders,
    WorkerOrders,
    nonce,
)
from tests.acceptance.processes import Child
from tests.conftest import LONG, chosen_profile
from tests.servers import eventually

#: Kills are the same in both profiles; how long the queue needs to notice them is not.
SHORT_LIMITS = CellLimits(lease_ms=1_000, alive_ms=2_000, offer_ms=500)
LIMITS = CellLimits() if chosen_profile() == LONG else SHORT_LIMITS
JOBS = 1_000
#: A wait for 1,000 jobs in spite of every kill, on a machine with other things to do.
WITHIN_S = 1_800.0 if chosen_profile() == LONG else 90.0


class Stage:
    """Children live until the stage is left; each start of the same role gets a heartbeat file of its own."""

    def __init__(self, cell: Cell, *, url: str, folder: Path, limits: CellLimits, seed: int) -> None:
        self.cell = cell
        self.url = url
        self.limits = limits
        self.journal = folder / "journal"
        self._folder = folder
        self._seed = seed
        self._children: set[Child] = set()
        self._may_end: set[Child] = set()

    def _common(self, name: str) -> dict[str, object]:
        self._seed += 1
        return {
            "url": self.url,
            "cell": self.cell.name,
            "limits": self.limits,
            "journal": self.journal,
            "heartbeat": self.heartbeat(name),
            "seed": self._seed,
        }

    def heartbeat(self, name: str) -> Path:
        return self._folder / f"{name}.beat"

    def _started(self, program: str, orders: Common, name: str) -> Child:
        child = Child(program, orders, errors=self._folder / f"{name}.log")
        self._children.add(child)
        return child

    def worker(self, *machines: str, slots: int = 8, renew_every_s: float | None = None, **more: object) -> Child:
        renew_every_s = renew_every_s or self.limits.lease_ms / 4_000
        fields = {"machines": machines, "slots": slots, "renew_every_s": renew_every_s, **more}
        orders = WorkerOrders(**self._common(machines[0]), **fields)  # type: ignore[arg-type]
        return self._started("worker_process", orders, machines[0])

    def agent(self, *machines: str, tokens: tuple[str, ...], broker: str, ping_every_s: float, **more: object) -> Child:
        fields = {"machines": machines, "tokens": tokens, "broker": broker, "ping_every_s": ping_every_s, "slots": 2}
        fields |= {"renew_every_s": self.limits.lease_ms / 4_000, **more}
        orders = AgentOrders(**self._common(f"agent-{machines[0]}"), **fields)  # type: ignore[arg-type]
        return self._started("agent_process", orders, f"agent-{machines[0]}")

    def serve(self, name: str, *, settings: Path) -> tuple[Child, Path]:
        """A broker, and the file that will hold its port."""
        port = self._folder / f"{name}.port"
        orders = ServeOrders(**self._common(name), settings=settings, port=port)  # type: ignore[arg-type]
        return self._started("serve_process", orders, name), port

    def dispatcher(self, name: str = "dispatcher") -> Child:
        return self._started("dispatcher_process", DispatcherOrders(**self._common(name)), name)  # type: ignore[arg-type]

    def client(self, *, first: int = 1, last: int = JOBS, batch: int = 20, pause_s: float = 0.0) -> Child:
        fields = {"first": first, "last": last, "batch": batch, "work_ms": (10, 60), "pause_s": pause_s}
        return self._started("client_process", ClientOrders(**self._common("client"), **fields), "client")  # type: ignore[arg-type]

    def hunter(self, name: str, *, for_s: float, pause_s: float) -> Child:
        fields = {"name": name, "for_s": for_s, "pause_s": pause_s}
        return self._started("hunter_process", HunterOrders(**self._common(name), **fields), name)  # type: ignore[arg-type]

    async def count(self, name: str) -> int:
        """A number of `statistics`, such as succeeded."""
        return (await self.cell.statistics()).counts[name]

    async def reaches(self, name: str, number: int, *, within_s: float = WITHIN_S) -> None:
        """Wait until the count is that high; a child that ends by itself on the way is an error."""

        async def is_there() -> bool:
            for child in self._children - self._may_end:
                child.check()
            with contextlib.suppress(Unavailable):
                return await self.count(name) >= number
            return False

        await eventually(is_there, what=f"{number} {name}", within_s=within_s)

    def forget(self, child: Child) -> None:
        """It may end from now on."""
        self._may_end.add(child)

    def kill(self, child: Child) -> None:
        self.forget(child)
        child.kill()

    def noted(self, word: str) -> list[list[str]]:
        return read_journal(self.journal, word)

    async def history(self) -> History:
        return await read_history(self.cell)

    def end(self) -> None:
        for child in self._children:
            child.thaw()
            child.kill()


@contextlib.asynccontextmanager
async def stage(url: str, folder: Path, *, seed: int, limits: CellLimits = LIMITS) -> AsyncIterator[Stage]:
    client = connect(url)
    opened = None
    try:
        cell = Cell(client, f"kill-{nonce()}")
        await cell.open(limits)
        await cell.declare(["pool:standard", "service:waits"], by="test")
        opened = Stage(cell, url=url, folder=folder, limits=limits, seed=seed)
        yield opened
    finally:
        if opened is not None:
            opened.end()
        await client.aclose()


class Stopwatch:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._since = time.monotonic()

    def __call__(self) -> float:
        return time.monotonic() - self._since


async def moment(seconds: float) -> None:
    """A random moment is the point of these tests; nothing is waited for."""
    await asyncio.sleep(seconds)
