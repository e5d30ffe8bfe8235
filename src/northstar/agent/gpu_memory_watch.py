"""Measures how much GPU memory runs take: looks at the card now and then, while exactly one job is on it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from northstar.agent.hardware import HardwareUnknown
from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from northstar.agent.run_meter import RunMeters

log = logger(__name__)

#: So far apart are two looks: each starts a program of the driver, some 30 ms of one processor.
EVERY_S: Final = 2.0
#: The pause after a look that failed.
_AFTER_FAULT_S: Final = 60.0


class GpuMemoryWatch:
    """For a machine with one GPU. A look costs one call of the driver's program; while no job runs, nothing is asked.

    What is seen is the use of the whole card: also what the engine keeps of earlier jobs, and what other programs hold. So a peak is what
    the card needed while the job ran, and the job alone needs no more. A run of which any part fell together with another's, or which
    ended before the first look, gets none.
    """

    def __init__(
        self,
        ask: Callable[[], Awaitable[int | None]],
        meters: RunMeters,
        *,
        every_s: float = EVERY_S,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`ask` gives the memory in use, MB, None where the driver does not say; it raises HardwareUnknown."""
        self._ask = ask
        self._meters = meters
        self._every_s = every_s
        self._sleep = sleep
        self._is_told = False

    async def run(self) -> None:
        """Until cancelled."""
        pause_s = self._every_s
        while True:
            await self._meters.busy.wait()
            await self._sleep(pause_s)
            pause_s = await self.look()

    async def look(self) -> float:
        """Look once, if a job is alone on the card now; gives the seconds until the next look."""
        token = self._meters.alone()
        if token is None:
            return self._every_s
        try:
            used_mb = await self._ask()
        except HardwareUnknown as exc:
            if not self._is_told:
                log.warning("gpu_memory_not_measured", code=exc.code, error=str(exc))
            self._is_told = True
            return max(_AFTER_FAULT_S, self._every_s)
        self._is_told = False
        # Another job may have come, or this one gone, while the driver was asked.
        if used_mb is not None and self._meters.alone() == token:
            self._meters.saw_memory(token, used_mb)
        return self._every_s
