"""streaq: 100 jobs at once and 100 prefetched, no results, no log lines, asyncio with uvloop; bulk 1,000 a call."""

# mypy: disable-error-code="import-not-found, no-any-unimported, untyped-decorator"

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Sequence

from streaq import Worker

from benchmarks.peers import tally

CHUNK = 1000


@contextlib.asynccontextmanager
async def _announce() -> AsyncGenerator[None]:
    tally.ready()
    yield


class Streaq:
    packages = ("streaq", "coredis")

    def __init__(self, url: str) -> None:
        self._url = url

    def _make(self, concurrency: int) -> None:
        self._worker = Worker(
            redis_url=self._url,
            concurrency=concurrency,
            prefetch=concurrency,
            lifespan=_announce,
            anyio_kwargs={"use_uvloop": True},
        )

        @self._worker.task(ttl=0, silent=True)
        async def count(number: int) -> None:
            tally.count(number)

        self._count = count

    async def open(self) -> None:
        self._make(1)
        self._open = contextlib.AsyncExitStack()
        await self._open.enter_async_context(self._worker)

    async def enqueue_one(self, number: int) -> None:
        await self._count.enqueue(number)

    async def enqueue_bulk(self, numbers: Sequence[int]) -> None:
        for start in range(0, len(numbers), CHUNK):
            await self._worker.enqueue_many([self._count.enqueue(number) for number in numbers[start : start + CHUNK]])

    async def outstanding(self) -> int:
        # An entry leaves the stream when its job has been acknowledged.
        return int(await self._worker.redis.xlen(self._worker.stream_key + "normal"))

    async def close(self) -> None:
        await self._open.aclose()

    def start_worker(self, concurrency: int) -> None:
        self._make(concurrency)
        self._worker.run_sync()


adapter = Streaq
