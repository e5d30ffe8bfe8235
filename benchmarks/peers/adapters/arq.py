"""arq, tuned: 100 jobs at once, polling every 10 ms instead of 500 ms, no results kept."""

# mypy: disable-error-code="import-not-found, no-any-unimported"

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import uvloop
from arq import Worker, create_pool
from arq.connections import RedisSettings

from benchmarks.peers import tally
from benchmarks.peers.adapter import CONCURRENT_SUBMITS
from benchmarks.peers.submits import keep_in_flight


async def count(context: dict[Any, Any], number: int) -> None:
    tally.count(number)


async def announce(context: dict[Any, Any]) -> None:
    tally.ready()


class Arq:
    packages = ("arq", "redis", "hiredis")

    def __init__(self, url: str) -> None:
        self._settings = RedisSettings.from_dsn(url)

    async def open(self) -> None:
        self._pool = await create_pool(self._settings)

    async def enqueue_one(self, number: int) -> None:
        await self._pool.enqueue_job("count", number)

    async def enqueue_bulk(self, numbers: Sequence[int]) -> None:
        await keep_in_flight(self.enqueue_one, numbers, at_once=CONCURRENT_SUBMITS)

    async def outstanding(self) -> int:
        return int(await self._pool.zcard("arq:queue"))

    async def close(self) -> None:
        await self._pool.aclose()

    def start_worker(self, concurrency: int) -> None:
        asyncio.set_event_loop(uvloop.new_event_loop())
        Worker(
            [count],
            redis_settings=self._settings,
            max_jobs=concurrency,
            poll_delay=0.01,
            keep_result=0,
            on_startup=announce,
        ).run()


adapter = Arq
