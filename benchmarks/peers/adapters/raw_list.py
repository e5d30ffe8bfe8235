"""No queue at all: LPUSH and BRPOP. The floor that any queue in Python stands on; a lost worker loses its jobs."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence

import uvloop
from valkey.asyncio import Valkey

from benchmarks.peers import tally

KEY = "raw"
#: Commands in one pipeline.
CHUNK = 500


class RawList:
    packages = ("valkey", "libvalkey", "uvloop")

    def __init__(self, url: str) -> None:
        self._url = url

    async def open(self) -> None:
        self._client = Valkey.from_url(self._url)
        await self._client.ping()

    async def enqueue_one(self, number: int) -> None:
        await self._client.lpush(KEY, number)

    async def enqueue_bulk(self, numbers: Sequence[int]) -> None:
        for start in range(0, len(numbers), CHUNK):
            pipeline = self._client.pipeline(transaction=False)
            for number in numbers[start : start + CHUNK]:
                pipeline.lpush(KEY, number)
            await pipeline.execute()

    async def outstanding(self) -> int:
        return int(await self._client.llen(KEY))

    async def close(self) -> None:
        await self._client.aclose()

    def start_worker(self, concurrency: int) -> None:
        uvloop.run(self._work(concurrency))

    async def _work(self, concurrency: int) -> None:
        stopping = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
        takers = [asyncio.create_task(self._take()) for _ in range(concurrency)]
        tally.ready()
        await stopping.wait()
        for taker in takers:
            taker.cancel()

    async def _take(self) -> None:
        client = Valkey.from_url(self._url, single_connection_client=True)
        while True:
            _, number = await client.brpop([KEY], timeout=0)
            tally.count(int(number))


adapter = RawList
