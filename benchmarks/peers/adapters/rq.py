"""rq: SimpleWorker (no fork for each job), no results kept; one job at a time by design. Bulk 500 a call."""

# mypy: disable-error-code="import-not-found, no-any-unimported"

from __future__ import annotations

from collections.abc import Sequence

from redis import Redis
from rq import Queue, SimpleWorker
from rq.registry import StartedJobRegistry

from benchmarks.peers import tally

CHUNK = 500


class Rq:
    packages = ("rq", "redis", "hiredis")

    def __init__(self, url: str) -> None:
        self._client = Redis.from_url(url)
        self._queue = Queue(connection=self._client)

    async def open(self) -> None:
        self._client.ping()

    async def enqueue_one(self, number: int) -> None:
        self._queue.enqueue_call(tally.count, args=(number,), result_ttl=0)

    async def enqueue_bulk(self, numbers: Sequence[int]) -> None:
        for start in range(0, len(numbers), CHUNK):
            self._queue.enqueue_many(
                [
                    Queue.prepare_data(tally.count, args=(number,), result_ttl=0)
                    for number in numbers[start : start + CHUNK]
                ]
            )

    async def outstanding(self) -> int:
        started = StartedJobRegistry(queue=self._queue)
        return len(self._queue) + int(self._client.zcard(started.key))

    async def close(self) -> None:
        self._client.close()

    def start_worker(self, concurrency: int) -> None:
        worker = SimpleWorker([self._queue], connection=self._client)
        tally.ready()
        worker.work(logging_level="WARNING")


adapter = Rq
