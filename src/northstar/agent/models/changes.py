"""What changes on a machine's disk, told to whoever listens."""

from __future__ import annotations

import asyncio
import weakref
from typing import Final, Literal, Self

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


class Listener:
    """One who listens, from the moment it is made; iterate over it. Who forgets it listens no more."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[ModelChange | None] = asyncio.Queue()
        self._ended = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ModelChange:
        change = None if self._ended else await self._queue.get()
        if change is None:
            self._ended = True
            raise StopAsyncIteration
        return change

    def put(self, change: ModelChange | None) -> None:
        """A change; None is the end. Never waits: of too many, all are dropped for one `missed`."""
        if self._queue.qsize() >= _BACKLOG:
            while not self._queue.empty():
                self._queue.get_nowait()
            self._queue.put_nowait(ModelChange(what="missed"))
        self._queue.put_nowait(change)


class Changes:
    """All who listen, each with a bounded backlog of its own."""

    def __init__(self) -> None:
        self._listeners: weakref.WeakSet[Listener] = weakref.WeakSet()

    def tell(self, change: ModelChange | None) -> None:
        """Pass a change on; None is the end."""
        for listener in list(self._listeners):
            listener.put(change)

    def listen(self) -> Listener:
        """Changes from now on, until the store closes."""
        listener = Listener()
        self._listeners.add(listener)
        return listener
