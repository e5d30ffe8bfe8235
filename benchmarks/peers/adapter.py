"""What a queue must offer to be measured: one file in `adapters/` with `adapter(url)` giving an `Adapter`.

This module and everything the adapters share run in the peers' own environments: standard library only.
A job is one whole number below 2**63, and its work is `tally.count(number)`; nothing else may happen in it.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Protocol, cast

#: How many submits an adapter without a bulk call keeps in flight to be at its fastest.
CONCURRENT_SUBMITS = 50


class Adapter(Protocol):
    """One queue, at its fastest documented settings, seen from a submitting process or from a worker process.

    The submitting process calls `open` once on an empty database, then the others, then `close`.
    The worker process calls only `start_worker`.
    """

    #: Distributions whose versions belong beside the figures.
    packages: Sequence[str]

    async def open(self) -> None:
        """Connect, and create whatever must exist before the first job (a consumer group, say)."""

    async def enqueue_one(self, number: int) -> None:
        """Submit one job; returns once the server has it."""

    async def enqueue_bulk(self, numbers: Sequence[int]) -> None:
        """Submit all of them by the fastest call the queue documents; returns once the server has them."""

    async def outstanding(self) -> int:
        """Jobs that the queue itself still counts as waiting, running or not acknowledged. 0 means drained."""

    async def close(self) -> None:
        """Let go of the connections."""

    def start_worker(self, concurrency: int) -> None:
        """Work until SIGTERM. Calls `tally.ready()` at the latest moment before the first job can be taken."""


def load(name: str, url: str) -> Adapter:
    """The adapter in `adapters/NAME.py`, for the server at `url`."""
    module = importlib.import_module(f"benchmarks.peers.adapters.{name}")
    return cast("Adapter", module.adapter(url))
