"""An engine that only keeps time: so many jobs side by side, models that load and push each other out, and death."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TypeVar

from northstar.connectors.errors import DeadlinePassed, EngineGone

T = TypeVar("T")
#: Waits so many seconds; tests and the simulator bring their own.
Sleep = Callable[[float], Awaitable[None]]


class SimulatedEngine:
    """What all jobs of one simulated service on one machine share."""

    def __init__(
        self, *, service: str, side_by_side: int, models_in_memory: int, sleep: Sleep, clock: Callable[[], float]
    ) -> None:
        self._service = service
        self._places = asyncio.Semaphore(side_by_side)
        self._models_in_memory = models_in_memory
        self._sleep = sleep
        self._clock = clock
        self._resident: OrderedDict[str, None] = OrderedDict()
        self._in_use: dict[str, int] = {}
        self._loading = asyncio.Lock()
        self._death = asyncio.Event()
        self._dead_until: float | None = None
        #: Jobs that have a place now, and jobs that wait for one.
        self.working = 0
        self.waiting = 0

    @property
    def resident(self) -> tuple[str, ...]:
        """Models in memory, the one used longest ago first."""
        return tuple(self._resident)

    @property
    def alive(self) -> bool:
        """Whether it takes work; a dead engine comes back by itself when its time is over."""
        if self._dead_until is not None and self._clock() >= self._dead_until:
            self._dead_until = None
        return self._dead_until is None

    def die(self, *, for_s: float) -> None:
        """End every job with `EngineGone`, forget all models, and be dead for so long."""
        self._dead_until = self._clock() + for_s
        self._resident.clear()
        death, self._death = self._death, asyncio.Event()
        death.set()

    async def during_life(self, work: Coroutine[None, None, T], *, deadline_s: float | None) -> T:
        """Run `work` unless the engine dies or the deadline passes first; then it is cancelled.

        Raises:
            EngineGone: the engine is dead, or died. DeadlinePassed: the deadline was sooner.
        """
        if not self.alive:
            work.close()
            raise EngineGone("the simulated engine is dead", service=self._service)
        task = asyncio.ensure_future(work)
        died = asyncio.ensure_future(self._death.wait())
        late = None if deadline_s is None else asyncio.ensure_future(self._sleep(deadline_s))
        others = [died] if late is None else [died, late]
        try:
            await asyncio.wait([task, *others], return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            if died.done():
                raise EngineGone("the simulated engine died", service=self._service)
            raise DeadlinePassed("end of the simulated work", service=self._service, limit_s=deadline_s)
        finally:
            for other in (task, *others):
                other.cancel()
            await asyncio.wait([task, *others])
            if not task.cancelled():
                task.exception()  # looked at, so that nobody complains of a failure in the very moment of the end

    @asynccontextmanager
    async def place(self, *, queued: Callable[[], None]) -> AsyncIterator[None]:
        """One of the places; `queued` is called if the job has to wait for it."""
        if self._places.locked():
            queued()
        self.waiting += 1
        try:
            await self._places.acquire()
        finally:
            self.waiting -= 1
        self.working += 1
        try:
            yield
        finally:
            self.working -= 1
            self._places.release()

    @asynccontextmanager
    async def model(self, name: str, *, load_s: float, loading: Callable[[], None]) -> AsyncIterator[bool]:
        """Hold a model in memory; gives whether it had to be loaded. One model loads at a time, as on a real disk."""
        loaded = False
        async with self._loading:
            if name not in self._resident:
                loading()
                await self._sleep(load_s)
                self._make_room()
                loaded = True
            self._resident[name] = None
            self._resident.move_to_end(name)
            self._in_use[name] = self._in_use.get(name, 0) + 1
        try:
            yield loaded
        finally:
            self._in_use[name] -= 1
            if not self._in_use[name]:
                del self._in_use[name]

    def _make_room(self) -> None:
        """Push out what was used longest ago; what is in use stays, even if that is one too many."""
        for name in [name for name in self._resident if name not in self._in_use]:
            if len(self._resident) < self._models_in_memory:
                return
            del self._resident[name]
