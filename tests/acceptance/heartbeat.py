"""How responsive the event loop of another process is: it writes the time into shared memory, again and again."""

from __future__ import annotations

import asyncio
import mmap
import struct
import time
from collections.abc import Callable
from pathlib import Path

EVERY_S = 0.02


async def beat(path: Path, *, while_: Callable[[], bool] = lambda: True) -> None:
    """For ever, but only while that is so. CLOCK_MONOTONIC is one clock for all processes of a machine."""
    path.write_bytes(bytes(8))
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 8) as memory:
        while True:
            if while_():
                memory[:8] = struct.pack("d", time.monotonic())
            await asyncio.sleep(EVERY_S)


def silence_s(path: Path) -> float:
    """Seconds since the last beat; infinite before the first."""
    try:
        (last_s,) = struct.unpack("d", path.read_bytes())
    except (FileNotFoundError, struct.error):
        return float("inf")
    return float("inf") if last_s == 0 else time.monotonic() - float(last_s)
