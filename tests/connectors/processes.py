"""What the kernel says about processes, for tests that must find them gone."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that has ended but was not reaped does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


def children_of(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that ended meanwhile
            yield from map(int, (task / "children").read_text().split())


def launchers() -> list[int]:
    """The launchers that this process has started and that still run."""
    ours = filter(is_alive, children_of(os.getpid()))
    return [pid for pid in ours if b"command_launcher.py" in Path(f"/proc/{pid}/cmdline").read_bytes()]


async def until(condition: Callable[[], bool | Awaitable[bool]], *, within_s: float = 10.0) -> None:
    """Look again and again until the condition holds; give up loudly."""
    async with asyncio.timeout(within_s):
        while True:
            answer = condition()
            if await answer if isinstance(answer, Awaitable) else answer:
                return
            await asyncio.sleep(0.01)
