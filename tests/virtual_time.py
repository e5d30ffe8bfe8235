"""A clock that a test moves: sleepers wake in order when their time has come, and nothing waits for real."""

from __future__ import annotations

import asyncio
import heapq
import itertools


class VirtualTime:
    def __init__(self) -> None:
        self.now = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._order), waiting))
        await waiting

    async def advance(self, seconds: float) -> None:
        """Let so much time pass; whoever wakes on the way acts at its own moment."""
        until = self.now + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= until:
            self.now, _, waiting = heapq.heappop(self._sleepers)
            if not waiting.done():
                waiting.set_result(None)
                await settle()
        self.now = until

    async def finish(self, task: asyncio.Task[object], *, within_s: float = 1e6) -> None:
        """Let time pass until the task has ended."""
        until = self.now + within_s
        await settle()
        while not task.done() and self._sleepers and self._sleepers[0][0] <= until:
            await self.advance(max(0.0, self._sleepers[0][0] - self.now))
        assert task.done(), "nothing that sleeps would end the task"


async def settle() -> None:
    """Let every task run until it waits."""
    for _ in range(50):
        await asyncio.sleep(0)
