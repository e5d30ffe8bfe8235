"""How long work at an engine may take as a whole: the connector's own patience, and the job's deadline if it is shorter."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

from northstar.connectors.errors import DeadlinePassed, EngineTimeout

T = TypeVar("T")


async def bounded(
    work: Coroutine[None, None, T],
    *,
    service: str,
    patience_s: float,
    deadline_s: float | None = None,
    awaited: str = "end of the answer",
) -> T:
    """Run `work` to its end, or cancel it when the time is over.

    Raises:
        EngineTimeout: the patience was over; that is the engine's fault. DeadlinePassed: the job's deadline was; it is not.
    """
    limit_s = patience_s if deadline_s is None else min(deadline_s, patience_s)
    whole = asyncio.timeout(limit_s)
    try:
        async with whole:
            return await work
    except TimeoutError as error:
        if not whole.expired():
            raise
        kind = DeadlinePassed if limit_s < patience_s else EngineTimeout
        raise kind(awaited, service=service, limit_s=limit_s) from error
