"""A server of a test's own, for what would disturb the others: no memory, no disk, a primary that is none."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from valkey import Valkey

from northstar.store.embedded import ServerOptions
from northstar.store.function_library import build
from tests import servers
from tests.store.library.rig import load

KINDS = {"valkey": servers.embedded_valkey, "redis7": servers.redis7}


@contextlib.asynccontextmanager
async def private_server(kind: str, options: ServerOptions | None = None) -> AsyncIterator[tuple[Valkey, str]]:
    """A blocking client with the library loaded, and the server's URL."""
    async with KINDS[kind](options) as running:
        url = running.nodes[0].url
        with Valkey.from_url(url, socket_timeout=30) as client:
            load(client, build())
            yield client, url
