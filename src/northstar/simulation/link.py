"""A machine's line to the sources of models: all its fetches share it, and each takes a moment to begin."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from northstar.simulation.clock import in_ms

if TYPE_CHECKING:
    from northstar.simulation.agenda import Entry
    from northstar.simulation.world import World


class Transfer:
    """One file on its way. `began_ms` is when its turn came, `flowed_ms` when its first byte did; `arrives` happens when all of it is there."""

    __slots__ = ("arrives", "began_ms", "flowed_ms", "flows", "left_bytes", "size_bytes")

    def __init__(self, size_bytes: int, *, began_ms: int, arrives: Callable[[], Awaitable[None]]) -> None:
        self.size_bytes = size_bytes
        self.left_bytes = float(size_bytes)
        self.began_ms = self.flowed_ms = began_ms
        self.arrives = arrives
        self.flows = False


class Link:
    """Transfers that flow get equal parts of the line (processor sharing)."""

    def __init__(self, world: World, *, bytes_per_s: float, starts_s: float) -> None:
        """`starts_s` is how long a transfer takes before its first byte."""
        self._world = world
        self._bytes_per_s = bytes_per_s
        self._factor = 1.0
        self._starts_ms = in_ms(starts_s)
        self._flowing: list[Transfer] = []
        self._since_ms = 0
        self._next: Entry | None = None

    def set_factor(self, factor: float) -> None:
        """From now on the line is so many times as fast as it was made."""
        self._flow()
        self._factor = factor
        self._plan()

    def begin(self, size_bytes: int, arrives: Callable[[], Awaitable[None]]) -> Transfer:
        """Begin a transfer."""
        transfer = Transfer(size_bytes, began_ms=self._world.clock.now_ms, arrives=arrives)
        transfer.flows = True

        async def first_byte() -> None:
            if transfer.flows:
                self._flow()
                transfer.flowed_ms = self._world.clock.now_ms
                self._flowing.append(transfer)
                self._plan()

        self._world.soon(first_byte, in_ms=self._starts_ms)
        return transfer

    def give_up(self, transfer: Transfer) -> None:
        """A transfer that nobody wants any more."""
        transfer.flows = False
        if transfer in self._flowing:
            self._flow()
            self._flowing.remove(transfer)
            self._plan()

    def _flow(self) -> None:
        """Bring what has come up to now."""
        now_ms = self._world.clock.now_ms
        if self._flowing and now_ms > self._since_ms:
            each = self._rate_per_ms() * (now_ms - self._since_ms)
            for transfer in self._flowing:
                transfer.left_bytes -= each
        self._since_ms = now_ms

    def _rate_per_ms(self) -> float:
        return self._bytes_per_s * self._factor / 1000 / max(1, len(self._flowing))

    def _plan(self) -> None:
        if self._next is not None:
            self._next.strike()
            self._next = None
        if self._flowing:
            least = min(transfer.left_bytes for transfer in self._flowing)
            # Rounded before it is rounded up: a millionth of a byte that sums left over is no millisecond.
            wait_ms = math.ceil(round(max(0.0, least) / self._rate_per_ms(), 6))
            self._next = self._world.soon(self._arrive, in_ms=wait_ms)

    async def _arrive(self) -> None:
        self._next = None
        self._flow()
        done = [transfer for transfer in self._flowing if transfer.left_bytes <= self._rate_per_ms() * 1e-6]
        self._flowing = [transfer for transfer in self._flowing if transfer not in done]
        self._plan()
        for transfer in done:
            transfer.flows = False
            await transfer.arrives()


class Turns:
    """So many at a time, the others in the order in which they came."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: deque[Callable[[], Awaitable[None]]] = deque()

    async def take(self, begins: Callable[[], Awaitable[None]]) -> None:
        """`begins` when there is a place."""
        if self._free > 0:
            self._free -= 1
            await begins()
        else:
            self._waiting.append(begins)

    async def leave(self) -> None:
        """A place is free again."""
        if self._waiting:
            await self._waiting.popleft()()
        else:
            self._free += 1
