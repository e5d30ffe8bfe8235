"""What a machine that starts waits for: one engine that has answered its warm-up job is enough to begin with."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from northstar.connectors.contract import Connector
from northstar.connectors.errors import EngineMisconfigured
from northstar.domain.errors import NorthstarError
from northstar.telemetry import logger

log = logger(__name__)

_RETRY_S = 0.5
#: After the first engine is ready, the others may take so long to be announced together with it.
_TOGETHER_S = 1.0
#: The same trouble of an engine is told again after so long.
_AGAIN_S = 60.0
_REASON_CHARS = 300


async def until_ready(
    connectors: Mapping[str, Connector], *, within_s: float, together_s: float = _TOGETHER_S
) -> tuple[str, ...]:
    """The engines that have answered their warm-up job, as soon as there is one; the others are probed while the machine works.

    One that is only loading is asked again until `within_s` is over.

    Raises:
        NorthstarError: none is ready, and why the first of them is not.
    """
    deadline = asyncio.get_running_loop().time() + within_s
    asking = {
        name: asyncio.create_task(_ready(name, connector, deadline), name=f"ready-{name}")
        for name, connector in connectors.items()
    }
    try:
        pending = set(asking.values())
        while pending and not _answered(asking):
            _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        if pending:
            await asyncio.wait(pending, timeout=together_s)
        ready = _answered(asking)
        if not ready:
            next(iter(asking.values())).result()  # raises why
        return ready
    finally:
        for task in asking.values():
            task.cancel()
        await asyncio.gather(*asking.values(), return_exceptions=True)


def _answered(asking: Mapping[str, asyncio.Task[None]]) -> tuple[str, ...]:
    return tuple(name for name, task in asking.items() if task.done() and task.exception() is None)


async def _ready(service: str, connector: Connector, deadline: float) -> None:
    """The engine has answered. Raises NorthstarError: it did not in time, or can never as it is set."""
    clock = asyncio.get_running_loop().time
    told, told_s = "", 0.0
    while True:
        try:
            await connector.ready()
        except NorthstarError as exc:
            why = str(exc)[:_REASON_CHARS]
            if exc.code + why != told or clock() >= told_s + _AGAIN_S:
                told, told_s = exc.code + why, clock()
                log.info("engine_not_ready", service=service, code=exc.code, error=why)
            if not exc.retryable or isinstance(exc, EngineMisconfigured) or clock() >= deadline:
                raise
            await asyncio.sleep(_RETRY_S)
        else:
            return
