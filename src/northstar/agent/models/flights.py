"""Fetches in flight: one for each model, however many wait for it; given up when the last of them goes away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING, Final

import msgspec

from northstar.agent.models.errors import ModelNameTaken, ModelStoreUnavailable

if TYPE_CHECKING:
    from northstar.agent.models.inventory import ModelFile
    from northstar.agent.models.layout import ModelKey
    from northstar.agent.models.pace import Clock
    from northstar.domain.models import ModelOrder

_RATE_EVERY_S: Final = 0.5
_SMOOTHING: Final = 0.3


class FetchProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a fetch is."""

    name: str
    received_bytes: int
    #: None while nobody knows it.
    total_bytes: int | None
    #: Smoothed over the last seconds; 0 at first.
    bytes_per_s: float


OnProgress = Callable[[FetchProgress], None]


class Flight:
    """One fetch and those who wait for it."""

    def __init__(self, order: ModelOrder, *, clock: Clock = time.monotonic) -> None:
        self.order = order
        self.progress = FetchProgress(
            name=order.name, received_bytes=0, total_bytes=order.size_bytes or None, bytes_per_s=0.0
        )
        self.listeners: list[OnProgress] = []
        self.waiting = 0
        self.task: asyncio.Task[ModelFile] | None = None
        self._clock = clock
        self._looked: tuple[float, int] | None = None

    def on_bytes(self, received_bytes: int, total_bytes: int | None) -> None:
        """The fetch has come so far."""
        self.progress = FetchProgress(
            name=self.order.name,
            received_bytes=received_bytes,
            total_bytes=total_bytes,
            bytes_per_s=self._rate(received_bytes),
        )
        for tell in self.listeners:
            tell(self.progress)

    def _rate(self, received_bytes: int) -> float:
        now_s, known = self._clock(), self.progress.bytes_per_s
        if self._looked is None or received_bytes < self._looked[1]:
            self._looked = (now_s, received_bytes)
        before_s, before_bytes = self._looked
        if now_s - before_s < _RATE_EVERY_S:
            return known
        self._looked = (now_s, received_bytes)
        seen = (received_bytes - before_bytes) / (now_s - before_s)
        return seen if known == 0 else known + _SMOOTHING * (seen - known)


class Flights:
    """All of them, by model."""

    def __init__(self, *, clock: Clock = time.monotonic) -> None:
        self._flights: dict[ModelKey, Flight] = {}
        self._clock = clock

    def progress(self) -> tuple[FetchProgress, ...]:
        """How far each one is."""
        return tuple(flight.progress for flight in self._flights.values())

    def keys(self) -> Collection[ModelKey]:
        """What is being fetched."""
        return self._flights.keys()

    def has(self, key: ModelKey) -> bool:
        """Whether the model is being fetched."""
        return key in self._flights

    async def join(
        self,
        key: ModelKey,
        order: ModelOrder,
        fetch: Callable[[Flight], Awaitable[ModelFile]],
        *,
        on_progress: OnProgress | None,
    ) -> ModelFile:
        """Wait for the model's fetch, which begins if it has not yet.

        Raises:
            ModelNameTaken: what is being fetched under this name has another hash.
            NorthstarError: what the fetch raises.
        """
        flight = self._flights.get(key)
        if flight is None:
            flight = self._begin(key, order, fetch)
        elif {flight.order.sha256, order.sha256} != {order.sha256}:
            raise ModelNameTaken(order.name, found="a file that is being fetched")
        return await self._wait(key, flight, on_progress)

    async def end_all(self) -> None:
        """Give up every fetch and wait until each has let go."""
        tasks = [flight.task for flight in self._flights.values() if flight.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, key: ModelKey, order: ModelOrder, fetch: Callable[[Flight], Awaitable[ModelFile]]) -> Flight:
        flight = Flight(order, clock=self._clock)

        async def fly() -> ModelFile:
            try:
                return await fetch(flight)
            finally:
                self._leave(key, flight)

        def land(task: asyncio.Task[ModelFile]) -> None:
            self._leave(key, flight)  # a task that is cancelled before it began runs nothing of `fly`
            if not task.cancelled():
                task.exception()  # looked at, also where nobody waits any more

        flight.task = asyncio.get_running_loop().create_task(fly(), name=f"fetch {order.name}")
        flight.task.add_done_callback(land)
        self._flights[key] = flight
        return flight

    def _leave(self, key: ModelKey, flight: Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]

    async def _wait(self, key: ModelKey, flight: Flight, on_progress: OnProgress | None) -> ModelFile:
        task, me = flight.task, asyncio.current_task()
        if task is None or me is None:
            raise RuntimeError("a flight without a task")
        flight.waiting += 1
        if on_progress is not None:
            flight.listeners.append(on_progress)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled() and not me.cancelling():
                raise ModelStoreUnavailable("it was closed while a model was being fetched") from None
            raise
        finally:
            flight.waiting -= 1
            if on_progress is not None:
                flight.listeners.remove(on_progress)
            if not flight.waiting and not task.done():
                self._leave(key, flight)  # whoever wants it from now on begins anew
                task.cancel()
                await asyncio.wait([task])
