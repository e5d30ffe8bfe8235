"""What changes on a machine's disk, told to whoever listens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final, Literal

import msgspec

_BACKLOG: Final = 1_024


class ModelChange(msgspec.Struct, frozen=True, kw_only=True):
    """One change. `missed`: the listener was too slow, and should look at everything anew."""

    what: Literal["came", "gone", "fetch_started", "fetch_ended", "missed"]
    name: str = ""
    #: Of the file; 0 while it is not known.
    size_bytes: int = 0
    #: With `fetch_started`: how long it will probably take.
    expected_ms: int = 0
    #: With `fetch_ended`.
    outcome: Literal["", "fetched", "failed", "canceled"] = ""
    #: With `fetch_ended` and `failed`: the error's code.
    code: str = ""


class Changes:
    """Listeners, each with a bounded backlog of its own."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[ModelChange | None]] = set()

    def tell(self, change: ModelChange) -> None:
        """Pass a change on; never waits."""
        for queue in self._queues:
            if queue.qsize() >= _BACKLOG:
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait(ModelChange(what="missed"))
            queue.put_nowait(change)

    async def listen(self) -> AsyncIterator[ModelChange]:
        """Changes from now on, until the store closes."""
        queue: asyncio.Queue[ModelChange | None] = asyncio.Queue()
        self._queues.add(queue)
        try:
            while (change := await queue.get()) is not None:
                yield change
        finally:
            self._queues.discard(queue)

    def close(self) -> None:
        """End all listening."""
        for queue in self._queues:
            queue.put_nowait(None)
