"""Versions of the function library that nobody uses any more go while newer processes run, and not only when one of them starts."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import pytest

from northstar.assembly.announcing import announced, older_versions_retired
from northstar.domain.limits import CellLimits
from northstar.store.cell import Cell
from northstar.store.valkey import ValkeyClient
from tests import servers
from tests.servers import eventually
from tests.store.library.versions import next_version

pytestmark = pytest.mark.asyncio


async def loaded(client: ValkeyClient) -> set[str]:
    libraries: Any = await client.execute_command("FUNCTION", "LIST")
    names = (dict(zip(one[::2], one[1::2], strict=True)) if isinstance(one, list) else one for one in libraries)
    return {name[b"library_name"].decode() for name in names}


async def looks(client: ValkeyClient) -> int:
    """How often the server was asked who uses which version."""
    told: Any = await client.execute_command("INFO", "commandstats")
    return int(told.get("cmdstat_zrangebyscore", {"calls": 0})["calls"])


async def test_the_old_library_goes_when_its_last_process_has_gone() -> None:
    async with servers.embedded_valkey() as server, server.client() as client, AsyncExitStack() as stack:
        both = {"northstar_1", "northstar_2"}
        old, new = Cell(client, "c"), Cell(client, "c", library=next_version())
        await old.open(CellLimits())

        async def is_gone() -> bool:
            return await loaded(client) == {"northstar_2"}

        async def has_looked_twice() -> bool:
            return await looks(client) >= before + 2

        async with announced(old, process="serve:one"):
            await new.open(CellLimits())
            await stack.enter_async_context(announced(new, process="serve:two"))
            await stack.enter_async_context(older_versions_retired(new, look_every_s=0.02))
            async with announced(old, process="serve:three"):
                pass
            before = await looks(client)
            await eventually(has_looked_twice, what="it has looked")
            assert await loaded(client) == both, "one of its processes is still there"
        await eventually(is_gone, what="the old library has gone")
        # A process that comes back to it, as on the way back, loads it anew, and it goes with that one again.
        async with announced(old, process="serve:four"):
            await old.declare(["pool:y"], by="test")
            before = await looks(client)
            await eventually(has_looked_twice, what="it has looked")
            assert await loaded(client) == both
        await eventually(is_gone, what="it has gone again")
