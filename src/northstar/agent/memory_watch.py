"""Hears what engines hold in memory: regularly, and after each job."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from northstar.domain.models import ModelHeld

#: Jobs that end so close together are asked about once, so that an engine is not asked more than once in this time.
SETTLE_S: Final = 1.0


class MemoryWatch:
    """Asks every `every_s` seconds, and once after jobs that ended; never twice at the same time.

    An engine drops a model by its own clock (Ollama after five minutes), or when another client makes it; no job of ours
    tells of that.
    """

    def __init__(
        self,
        ask: Callable[[], Awaitable[Sequence[ModelHeld] | None]],
        tell: Callable[[Sequence[ModelHeld]], None],
        *,
        every_s: float,
        settle_s: float = SETTLE_S,
    ) -> None:
        """`ask` gives the models of all engines, bounded in time, or None where no engine tells; `tell` hears them."""
        self._ask = ask
        self._tell = tell
        self._every_s = every_s
        self._settle_s = settle_s
        self._due = asyncio.Event()

    def job_ended(self) -> None:
        """An engine may hold something else now; returns at once."""
        self._due.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._every_s):
                    await self._due.wait()
            await asyncio.sleep(self._settle_s)
            self._due.clear()
            held = await self._ask()
            if held is not None:
                self._tell(held)
