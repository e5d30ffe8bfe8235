"""The fastest way to submit many jobs to a queue that offers no call for it: several submits in flight at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence


async def keep_in_flight(submit: Callable[[int], Awaitable[None]], numbers: Sequence[int], *, at_once: int) -> None:
    """Call `submit` once for every number, with at most `at_once` calls unfinished."""
    waiting = iter(numbers)
    await asyncio.gather(*(_take_turns(submit, waiting) for _ in range(at_once)))


async def _take_turns(submit: Callable[[int], Awaitable[None]], waiting: Iterator[int]) -> None:
    for number in waiting:
        await submit(number)
