"""dramatiq: one process, 8 threads (its default), 1,000 messages prefetched, default middleware. No bulk call."""

# mypy: disable-error-code="import-not-found, no-any-unimported"

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

# Read when the library is imported; the documented way to set it.
os.environ.setdefault("dramatiq_queue_prefetch", "1000")

from dramatiq import Actor, Worker
from dramatiq.brokers.redis import RedisBroker

from benchmarks.peers import tally


class Dramatiq:
    packages = ("dramatiq", "redis", "hiredis")

    def __init__(self, url: str) -> None:
        self._broker = RedisBroker(url=url)
        self._count = Actor(
            tally.count, broker=self._broker, actor_name="count", queue_name="default", priority=0, options={}
        )

    async def open(self) -> None:
        self._broker.client.ping()

    async def enqueue_one(self, number: int) -> None:
        self._count.send(number)

    async def enqueue_bulk(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            self._count.send(number)

    async def outstanding(self) -> int:
        # The hash holds every message from its submission to its acknowledgement.
        return int(self._broker.client.hlen("dramatiq:default.msgs"))

    async def close(self) -> None:
        self._broker.close()

    def start_worker(self, concurrency: int) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        worker = Worker(self._broker, worker_threads=concurrency)
        tally.ready()
        worker.start()
        signal.sigwait({signal.SIGTERM})
        worker.stop(timeout=3000)


adapter = Dramatiq
