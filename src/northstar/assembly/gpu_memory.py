"""Measures what runs take of a machine's GPU memory, where that can be told."""

from __future__ import annotations

import asyncio

from northstar.agent.gpu_memory_watch import GpuMemoryWatch
from northstar.agent.run_meter import RunMeters
from northstar.assembly.announcement import Announcer


async def measure_memory(announcer: Announcer, meters: RunMeters) -> None:
    """Until cancelled. Where there is not exactly one GPU nothing is measured: of several, nobody knows which one a job is on."""
    asking = announcer.asking_memory()
    if asking is None:
        await asyncio.get_running_loop().create_future()
    else:
        await GpuMemoryWatch(asking, meters).run()
