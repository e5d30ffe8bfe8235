"""Clients that reached nobody with their jobs, and try again as the SDK does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from northstar.client.patience import Patience
from northstar.simulation.clock import in_ms
from northstar.store.errors import ValkeyGone

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from northstar.domain.jobs import JobRequest
    from northstar.simulation.world import World

#: What a broker answers that cannot ask its server: come back after so many seconds (`Retry-After`).
_ASKED_S: Final = 1.0
_PATIENCE: Final = Patience()


class Callers:
    """As many as jobs that come while the server of the queue is away, each for the minute that the SDK has patience."""

    def __init__(
        self,
        world: World,
        *,
        submit: Callable[[Sequence[JobRequest]], Awaitable[None]],
        refused: Callable[[str, str], None],
    ) -> None:
        """`submit` brings jobs to the broker; `refused` hears of those that are given up, with the code of why."""
        self._world = world
        self._submit = submit
        self._refused = refused

    def wait(self, request: JobRequest, *, tries: int = 1, began_ms: int | None = None) -> None:
        """Try again later, after so many tries since the call began."""
        world = self._world
        first_ms = world.clock.now_ms if began_ms is None else began_ms
        passed_s = (world.clock.now_ms - first_ms) / 1_000
        pause_s = _PATIENCE.pause_s(tries, passed_s=passed_s, jitter=world.rng.random(), asked_s=_ASKED_S)
        if pause_s is None:
            self._refused(request.id or "", ValkeyGone.code)
            return

        async def again() -> None:
            if world.is_server_away:
                self.wait(request, tries=tries + 1, began_ms=first_ms)
            else:
                await self._submit([request])

        world.soon(again, in_ms=in_ms(pause_s))
