"""Taking a run out of a ComfyUI server, wherever it is: in the queue, between two nodes, or deep in one."""

from __future__ import annotations

import asyncio
from typing import Final

from northstar.connectors.comfyui.answers import Running
from northstar.connectors.comfyui.server import ComfyServer
from northstar.connectors.errors import EngineError, EngineGone

_FIRST_LOOK_S: Final = 0.02
_LOOK_EVERY_S: Final = 0.5
#: An order to interrupt can be lost where a node swallows it; it is repeated so often.
_REPEAT_S: Final = 2.0


async def stop_run(server: ComfyServer, run_id: str, *, within_s: float) -> bool:
    """Cancel the run and wait until the server has left it; whether it has within the time.

    A server that is gone has left it too. Never raises an `EngineError`: the run ends for a reason of its own.
    """
    try:
        async with asyncio.timeout(within_s):
            while True:
                await _order(server, run_id)
                if await _left(server, run_id, within_s=_REPEAT_S):
                    return True
    except EngineGone:
        return True
    except (TimeoutError, EngineError):
        return False


async def _order(server: ComfyServer, run_id: str) -> None:
    if await server.cancel(run_id):
        return
    await server.unqueue(run_id)
    # The id alone would not do: old servers do not read it and interrupt whatever runs, so ours must be what runs.
    if isinstance(await server.in_queue(run_id), Running):
        await server.interrupt(run_id)


async def _left(server: ComfyServer, run_id: str, *, within_s: float) -> bool:
    loop = asyncio.get_running_loop()
    until = loop.time() + within_s
    pause_s = _FIRST_LOOK_S
    while await server.in_queue(run_id) is not None:
        if loop.time() >= until:
            return False
        await asyncio.sleep(pause_s)
        pause_s = min(_LOOK_EVERY_S, pause_s * 1.5)  # the answer holds every waiting graph, so it is not cheap
    return True
