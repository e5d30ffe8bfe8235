"""Progress of many jobs over one connection, for however many listeners; see `northstar.store.progress`."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from northstar.store.progress import channel
from northstar.store.subscription import SILENCE_S
from northstar.store.valkey import FAULTS
from northstar.store.valkey.identity import connection_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from northstar.store.cell import Cell

#: Messages that wait for one listener; beyond that the oldest go, as progress may.
MOST_WAITING: Final = 200
_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 5.0


class Heard:
    """What one listener has not taken yet: (token, text) of each message. `told` is called, without waiting, when there is something."""

    def __init__(self, told: Callable[[], None]) -> None:
        self._told = told
        self._waiting: deque[tuple[str, bytes]] = deque(maxlen=MOST_WAITING)

    def hear(self, token: str, text: bytes) -> None:
        """One message more."""
        self._waiting.append((token, text))
        self._told()

    def take(self) -> list[tuple[str, bytes]]:
        """All of it, in order."""
        taken = list(self._waiting)
        self._waiting.clear()
        return taken


class ProgressChannels:
    """Listens to the progress of one cell's jobs, as far as somebody wants to hear it; without listeners there is no connection.

    A connection that breaks costs what was said meanwhile.
    """

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._listeners: dict[bytes, set[Heard]] = {}
        self._connection: Any = None
        self._changed = asyncio.Event()
        self._reading: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def listening(self, job_id: str, told: Callable[[], None]) -> Iterator[Heard]:
        """Listen to one job until the block ends."""
        name, heard = channel(self._cell, job_id), Heard(told)
        self._listeners.setdefault(name, set()).add(heard)
        self._changed.set()
        if self._reading is None:
            self._reading = asyncio.create_task(self._run(), name="progress-channels")
        try:
            yield heard
        finally:
            self._listeners[name].discard(heard)
            if not self._listeners[name]:
                del self._listeners[name]
            self._changed.set()

    async def close(self) -> None:
        """Listen no more."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})
            self._reading = None

    async def _run(self) -> None:
        """Until nobody listens."""
        pause_s = _PAUSE_S
        try:
            while self._listeners:
                with contextlib.suppress(*FAULTS):
                    await self._listen()
                    pause_s = _PAUSE_S
                    continue
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
        finally:
            self._reading = None

    async def _listen(self) -> None:
        """Over one connection, until nobody listens. Raises what the client library raises when the server is gone."""
        connection = await connection_for(self._cell.client, self._cell.keys["meta"])
        asking = asyncio.create_task(self._ask(connection), name="progress-channels-ask")
        reading = asyncio.create_task(self._read(connection), name="progress-channels-read")
        try:
            done, _ = await asyncio.wait({asking, reading}, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                one.result()
        finally:
            for one in (asking, reading):
                one.cancel()
            await asyncio.gather(asking, reading, return_exceptions=True)
            await connection.disconnect(nowait=True)

    async def _ask(self, connection: Any) -> None:
        """Keep what is subscribed as what is wanted, until nothing is; a server that is silent is asked whether it is there."""
        subscribed: set[bytes] = set()
        while self._listeners:
            self._changed.clear()
            wanted = set(self._listeners)
            if more := wanted - subscribed:
                await connection.send_command("SSUBSCRIBE", *sorted(more))
            if less := subscribed - wanted:
                await connection.send_command("SUNSUBSCRIBE", *sorted(less))
            subscribed = wanted
            try:
                async with asyncio.timeout(SILENCE_S):
                    await self._changed.wait()
            except TimeoutError:
                await connection.send_command("PING")

    async def _read(self, connection: Any) -> None:
        while True:
            match await connection.read_response(timeout=2 * SILENCE_S, disconnect_on_error=False):
                case None:
                    raise TimeoutError(f"no answer within {2 * SILENCE_S} s")
                case [b"smessage", name, payload]:
                    token, _, text = payload.partition(b"\n")
                    for heard in self._listeners.get(name, ()):
                        heard.hear(token.decode(errors="replace"), text)
                case [b"sunsubscribe", name, *_] if name in self._listeners:
                    raise ConnectionError("the cell has moved to another server")
                case _:
                    pass
