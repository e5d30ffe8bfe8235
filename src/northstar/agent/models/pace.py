"""Keeps fetches and hashing from taking the whole line or the whole disk."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from northstar.policy.models.pace import Bucket, take

Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]

#: A second's worth may come at once.
_BURST_S = 1.0
#: So long is slept at most before the rate is looked at again, which may have been set free.
_LONGEST_SLEEP_S = 1.0


class Pace:
    """A rate that all who share it keep together. The rate is asked for anew each time."""

    def __init__(
        self, rate: Callable[[], float], *, clock: Clock = time.monotonic, sleep: Sleep = asyncio.sleep
    ) -> None:
        """`rate` gives bytes a second; 0 is free. `clock` and `sleep` are in seconds."""
        self._rate = rate
        self._clock = clock
        self._sleep = sleep
        self._bucket = Bucket(0.0, clock())

    async def spend(self, taken_bytes: int) -> float:
        """Account for bytes that came, and wait until the debt is paid; the seconds waited."""
        began_s = self._clock()
        rate = self._rate()
        self._bucket, wait_s = take(self._bucket, taken_bytes, rate=rate, burst_bytes=rate * _BURST_S, now_s=began_s)
        while wait_s > 0:
            await self._sleep(min(wait_s, _LONGEST_SLEEP_S))
            rate = self._rate()
            self._bucket, wait_s = take(self._bucket, 0, rate=rate, burst_bytes=rate * _BURST_S, now_s=self._clock())
        return self._clock() - began_s
