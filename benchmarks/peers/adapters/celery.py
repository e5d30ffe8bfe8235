"""celery: 50 threads, four messages prefetched for each, no results, no gossip, mingle, heartbeat or events.

Messages are acknowledged when taken, its default: a lost worker loses what it had taken. No bulk call.
"""

# mypy: disable-error-code="import-not-found, no-any-unimported, untyped-decorator"

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from celery import Celery as App
from celery.signals import worker_ready
from redis import Redis

from benchmarks.peers import tally


def announce(**_: Any) -> None:
    tally.ready()


class Celery:
    packages = ("celery", "kombu", "redis", "hiredis")

    def __init__(self, url: str) -> None:
        self._url = url
        self._app = App("bench", broker=url)
        self._app.conf.update(
            task_ignore_result=True,
            worker_prefetch_multiplier=4,
            broker_connection_retry_on_startup=True,
            worker_hijack_root_logger=False,
        )
        self._count = self._app.task(name="count")(tally.count)

    async def open(self) -> None:
        self._client = Redis.from_url(self._url)
        self._client.ping()

    async def enqueue_one(self, number: int) -> None:
        self._count.delay(number)

    async def enqueue_bulk(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            self._count.delay(number)

    async def outstanding(self) -> int:
        return int(self._client.llen("celery")) + int(self._client.hlen("unacked"))

    async def close(self) -> None:
        self._app.close()
        self._client.close()

    def start_worker(self, concurrency: int) -> None:
        worker_ready.connect(announce)
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING"]
        self._app.worker_main(["worker", "--pool", "threads", "--concurrency", str(concurrency), *quiet])


adapter = Celery
