"""taskiq on Redis streams: one process, 100 async tasks, 100 prefetched, orjson, arguments not parsed, no results.

The worker is what `taskiq worker --workers 1 --max-async-tasks 100 --max-prefetch 100 --no-parse` runs in its child,
without the parent, so that one process is one process for all peers.
"""

# mypy: disable-error-code="import-not-found, no-any-unimported, untyped-decorator"

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from taskiq import TaskiqEvents
from taskiq.cli.worker.args import WorkerArgs
from taskiq.cli.worker.run import start_listen
from taskiq.serializers import ORJSONSerializer
from taskiq_redis import RedisStreamBroker

from benchmarks.peers import tally
from benchmarks.peers.adapter import CONCURRENT_SUBMITS
from benchmarks.peers.submits import keep_in_flight


async def count(number: int) -> None:
    tally.count(number)


async def announce(state: Any) -> None:
    tally.ready()


class TaskiqStreams:
    packages = ("taskiq", "taskiq-redis", "redis", "hiredis")

    def __init__(self, url: str) -> None:
        self._broker = RedisStreamBroker(url, xread_count=100).with_serializer(ORJSONSerializer())
        self._broker.add_event_handler(TaskiqEvents.WORKER_STARTUP, announce)
        self._count = self._broker.register_task(count, task_name="count")

    async def open(self) -> None:
        # Also makes the consumer group, without which the worker would not see what was submitted before it came.
        await self._broker.startup()

    async def enqueue_one(self, number: int) -> None:
        await self._count.kiq(number)

    async def enqueue_bulk(self, numbers: Sequence[int]) -> None:
        await keep_in_flight(self.enqueue_one, numbers, at_once=CONCURRENT_SUBMITS)

    async def outstanding(self) -> int:
        from redis.asyncio import Redis

        async with Redis(connection_pool=self._broker.connection_pool) as client:
            group = (await client.xinfo_groups("taskiq"))[0]
        return int(group["pending"]) + int(group["lag"])

    async def close(self) -> None:
        await self._broker.shutdown()

    def start_worker(self, concurrency: int) -> None:
        flags = ["--no-parse", "--max-async-tasks", str(concurrency), "--max-prefetch", str(concurrency)]
        arguments = WorkerArgs.from_cli(["broker:broker", "--workers", "1", "--log-level", "WARNING", *flags])
        arguments.broker = self._broker
        start_listen(arguments)


adapter = TaskiqStreams
