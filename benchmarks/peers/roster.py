"""Who is measured: each peer's promise, how many jobs and how much at once make it fastest, and its environment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.peers.environments import ARQ, NODE, PROJECT, QUEUES, TASKIQ, Environment

HERE = Path(__file__).resolve().parent
NORTHSTAR = "northstar"
#: Not a queue: what the peers' ratios never refer to.
FLOOR = "raw-list"


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """One queue in one set-up."""

    name: str
    #: What it promises when a worker dies; `at-most-once` peers are marked, since they save the work of the promise.
    delivery: str
    adapter: str
    environment: Environment
    concurrency: int
    #: Jobs of one drain: enough for about a second or more.
    jobs: int
    #: The set-up in words, for the report.
    setup: str

    @property
    def at_least_once(self) -> bool:
        return self.delivery != "at-most-once"

    @property
    def python(self) -> bool:
        return self.environment is not NODE

    def client(self, url: str) -> Sequence[str]:
        """The command of its submitting process."""
        if not self.python:
            return ["node", str(HERE / "node" / "bullmq.mjs"), "client", url]
        return [str(self.environment.python), "-m", "benchmarks.peers.client", self.adapter, url]

    def worker(self, url: str) -> Sequence[str]:
        """The command of its one worker process."""
        if not self.python:
            return ["node", str(HERE / "node" / "bullmq.mjs"), "worker", url, str(self.concurrency)]
        return [str(self.environment.python), "-m", "benchmarks.peers.worker", self.adapter, url, str(self.concurrency)]


def _peer(name: str, delivery: str, environment: Environment, *, concurrency: int, jobs: int, setup: str) -> Peer:
    return Peer(
        name=name,
        delivery=delivery,
        adapter=name.replace("-", "_"),
        environment=environment,
        concurrency=concurrency,
        jobs=jobs,
        setup=setup,
    )


_ALL = (
    _peer(NORTHSTAR, "at-least-once", PROJECT, concurrency=100, jobs=20_000, setup="see adapters/northstar.py"),
    _peer(
        FLOOR,
        "at-most-once",
        PROJECT,
        concurrency=10,
        jobs=20_000,
        setup="LPUSH, 10 BRPOP loops, uvloop; bulk: pipelines of 500; no features: the floor",
    ),
    _peer(
        "dramatiq",
        "at-least-once",
        QUEUES,
        concurrency=8,
        jobs=10_000,
        setup="8 threads (default), dramatiq_queue_prefetch=1000, default middleware; no bulk call",
    ),
    _peer(
        "taskiq-streams",
        "at-least-once",
        TASKIQ,
        concurrency=100,
        jobs=10_000,
        setup="RedisStreamBroker, 100 async tasks, prefetch 100, xread_count 100, orjson, --no-parse, no results; bulk: 50 in flight",
    ),
    _peer(
        "saq",
        "at-least-once",
        QUEUES,
        concurrency=50,
        jobs=10_000,
        setup="concurrency 50, ttl=-1, uvloop; bulk: 50 in flight",
    ),
    _peer(
        "arq",
        "at-least-once",
        ARQ,
        concurrency=100,
        jobs=10_000,
        setup="max_jobs=100, poll_delay=0.01 s, keep_result=0, uvloop; bulk: 50 in flight",
    ),
    _peer(
        "streaq",
        "at-least-once",
        QUEUES,
        concurrency=100,
        jobs=10_000,
        setup="concurrency 100, prefetch 100, ttl=0, silent, uvloop; bulk: enqueue_many, 1000 a call",
    ),
    _peer(
        "rq",
        "at-least-once (registries)",
        QUEUES,
        concurrency=1,
        jobs=2_000,
        setup="SimpleWorker (no fork), result_ttl=0; one at a time by design; bulk: enqueue_many, 500 a call",
    ),
    _peer(
        "celery",
        "at-most-once",
        QUEUES,
        concurrency=50,
        jobs=10_000,
        setup="50 threads, prefetch x4, early ack (default), ignore_result, no gossip/mingle/heartbeat/events; no bulk call",
    ),
    _peer(
        "bullmq-node",
        "at-least-once (locks)",
        NODE,
        concurrency=100,
        jobs=20_000,
        setup="Node, ioredis, concurrency 100, removeOnComplete; bulk: addBulk, 500 a call",
    ),
)


def peers(wanted: Sequence[str] = ()) -> tuple[Peer, ...]:
    """Every peer, or the wanted ones; North Star only where its adapter is in the tree.

    Raises `ValueError` on a name that nobody has.
    """
    present = tuple(peer for peer in _ALL if not peer.python or (HERE / "adapters" / f"{peer.adapter}.py").exists())
    known = {peer.name for peer in present}
    if strangers := [name for name in wanted if name not in known]:
        raise ValueError(f"no peer is called {', '.join(strangers)}; there are {', '.join(sorted(known))}")
    return tuple(peer for peer in present if not wanted or peer.name in wanted)
