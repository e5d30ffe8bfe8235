"""saq: 50 jobs at once (faster than 10 or 100), each taken by its own BLMOVE; finished jobs deleted at once."""

# mypy: disable-error-code="import-not-found, no-any-unimported"

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import uvloop
from saq import Queue, Worker

from benchmarks.peers import tally
from benchmarks.peers.adapter import CONCURRENT_SUBMITS
from benchmarks.peers.submits import keep_in_flight


async def count(context: dict[str, Any], *, number: int) -> None:
    tally.count(number)


async def announce(context: dict[str, Any]) -> None:
    tally.ready()


class Saq:
    packages = ("saq", "redis", "hiredis")

    def __init__(self, url: str) -> None:
        self._url = url

    async def open(self) -> None:
        # Its own throttle would allow 20.
        self._queue = Queue.from_url(self._url, max_concurrent_ops=CONCURRENT_SUBMITS)
        await self._queue.connect()

    async def enqueue_one(self, number: int) -> None:
        await self._queue.enqueue("count", number=number, ttl=-1)

    async def enqueue_bulk(self, numbers: Sequence[int]) -> None:
        await keep_in_flight(self.enqueue_one, numbers, at_once=CONCURRENT_SUBMITS)

    async def outstanding(self) -> int:
        return int(await self._queue.count("incomplete"))

    async def close(self) -> None:
        await self._queue.disconnect()

    def start_worker(self, concurrency: int) -> None:
        uvloop.run(self._work(concurrency))

    async def _work(self, concurrency: int) -> None:
        queue = Queue.from_url(self._url)
        await Worker(queue, [count], concurrency=concurrency, startup=announce).start()
        await asyncio.wait_for(queue.disconnect(), timeout=2)


adapter = Saq
