"""North Star over its direct link, every guarantee on: leases, fences, fair shares, durable events.

The one worker process runs a machine with as many slots as the concurrency and, beside it, the dispatcher that a fleet would
have in another process: due times, and policy's candidates.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import uvloop

from benchmarks.peers import tally
from northstar.agent.direct_link import DirectLink
from northstar.agent.presence import FixedPresence
from northstar.agent.worker import Worker
from northstar.agent.worker_settings import WorkerSettings
from northstar.broker.dispatch import Dispatcher
from northstar.broker.submission import Submitter
from northstar.domain.jobs import ClaimedJob, JobRequest
from northstar.domain.limits import CellLimits
from northstar.domain.machines import MachineProfile
from northstar.store.cell import Cell
from northstar.store.valkey import connect

if TYPE_CHECKING:
    from northstar.domain.progress import Progress

BATCH = 500


def _random_text() -> str:
    return secrets.token_hex(10)


async def _cell(url: str) -> Cell:
    cell = Cell(connect(url), "bench")
    await cell.open(CellLimits())
    return cell


class _Counting:
    async def run(self, job: ClaimedJob, report: Callable[[Progress], None]) -> str:
        tally.count(job.read_body().payload["number"])
        return "{}"


class Northstar:
    packages = ("northstar-broker", "valkey", "libvalkey")

    def __init__(self, url: str) -> None:
        self._url = url

    async def open(self) -> None:
        self._cell = await _cell(self._url)
        await self._cell.declare(["pool:standard", "service:count"], by="benchmark")
        self._submitter = Submitter(self._cell, new_id=_random_text, monotonic=time.monotonic)

    async def enqueue_one(self, number: int) -> None:
        await self._submitter.submit([JobRequest(service="count", payload={"number": number})])

    async def enqueue_bulk(self, numbers: Sequence[int]) -> None:
        for first in range(0, len(numbers), BATCH):
            batch = numbers[first : first + BATCH]
            await self._submitter.submit([JobRequest(service="count", payload={"number": number}) for number in batch])

    async def outstanding(self) -> int:
        return (await self._cell.statistics()).counts["live"]

    async def close(self) -> None:
        await self._cell.client.aclose()

    def start_worker(self, concurrency: int) -> None:
        uvloop.run(self._work(concurrency))

    async def _work(self, concurrency: int) -> None:
        cell = await _cell(self._url)
        worker = Worker(
            DirectLink(cell, machine="worker", session=_random_text(), new_nonce=_random_text),
            _Counting(),
            profile=MachineProfile(pools=("standard",), services=("count",)),
            presence=FixedPresence(),
            settings=WorkerSettings(slots=concurrency, drain_s=2),
            jitter=random.random,
        )
        asyncio.get_running_loop().add_signal_handler(15, worker.stop)
        dispatching = asyncio.create_task(Dispatcher(cell, new_nonce=_random_text).run())
        tally.ready()
        await worker.run()
        dispatching.cancel()


adapter = Northstar
