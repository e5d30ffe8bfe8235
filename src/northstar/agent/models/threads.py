"""Work in a thread that a cancelled task waits for, so that nobody closes a file under the thread that writes it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
ResultT = TypeVar("ResultT")


async def to_its_end(work: Callable[P, ResultT], *args: P.args, **named: P.kwargs) -> ResultT:
    """Do blocking work in a thread; a cancellation takes effect when it has ended."""
    future = asyncio.get_running_loop().run_in_executor(None, partial(work, *args, **named))
    canceled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            canceled = error
    if canceled is not None:
        future.exception()  # looked at, so that nobody complains that it never was
        raise canceled
    return future.result()
