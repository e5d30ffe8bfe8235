"""The server that has a cell, for who copies or replaces it: one elsewhere, the one that `up` runs, or one that is started for that alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec

from northstar.assembly.run_file import NotRunning, read_run_file, remove_run_file
from northstar.config import Settings
from northstar.store.embedded import EmbeddedValkey, ServerOptions
from northstar.store.embedded.lock import DataDirectoryLock
from northstar.store.valkey import ClientOptions, ServerFacts, ValkeyClient, check_server, connect

#: To copy a cell of gigabytes takes its server many seconds, in which it answers nobody.
PATIENT: Final = ClientOptions(answer_timeout_s=300.0, client_name="northstar-backup")
VALKEY: Final = "valkey"


class Reached(msgspec.Struct, frozen=True, kw_only=True):
    """A server, and the cell on it that is meant. `alone`: nobody else can reach it."""

    client: ValkeyClient
    cell: str
    facts: ServerFacts
    alone: bool


@asynccontextmanager
async def server_with_the_cell(settings: Settings) -> AsyncIterator[Reached]:
    """The server that has the cell now; where none runs, that of the data directory, for as long as the block lasts.

    Raises:
        NotRunning: no server is named, and there never was one on the data directory.
        DataDirectoryInUse: it is being started or stopped. Unavailable: the server cannot be used.
    """
    if settings.valkey.url:
        async with _client(settings.valkey.url) as (client, facts):
            yield Reached(client=client, cell=settings.cell_name, facts=facts, alone=False)
        return
    try:
        running = read_run_file(settings.data_path)
    except NotRunning:
        if not (settings.data_path / VALKEY).is_dir():
            raise
    else:
        async with _client(running.url) as (client, facts):
            yield Reached(client=client, cell=settings.cell or running.cell, facts=facts, alone=False)
        return
    async with _kept_to_ourselves(settings.data_path) as stack:
        client, facts = await _started(settings, stack)
        yield Reached(client=client, cell=settings.cell_name, facts=facts, alone=True)


@asynccontextmanager
async def server_for_the_cell(settings: Settings) -> AsyncIterator[Reached]:
    """The server where the cell is to be: the one that is named, else one on the data directory, on which nothing may run.

    Raises:
        DataDirectoryInUse: `up` runs on it. Unavailable: the server cannot be used.
    """
    async with _kept_to_ourselves(settings.data_path) as stack:
        if settings.valkey.url:
            client, facts = await stack.enter_async_context(_client(settings.valkey.url))
        else:
            client, facts = await _started(settings, stack)
        alone = not settings.valkey.url
        yield Reached(client=client, cell=settings.cell_name, facts=facts, alone=alone)


@asynccontextmanager
async def _kept_to_ourselves(data_dir: Path) -> AsyncIterator[AsyncExitStack]:
    """Keep every `up` off the data directory."""
    async with AsyncExitStack() as stack:
        lock = DataDirectoryLock(data_dir)
        await lock.acquire()
        stack.callback(lock.close)
        remove_run_file(data_dir)  # one that a killed `up` left would lead commands to our server
        yield stack


async def _started(settings: Settings, stack: AsyncExitStack) -> tuple[ValkeyClient, ServerFacts]:
    server = EmbeddedValkey(settings.data_path / VALKEY, options=ServerOptions(fsync=settings.valkey.fsync))
    await stack.enter_async_context(server)
    return await stack.enter_async_context(_client(server.url))


@asynccontextmanager
async def _client(url: str) -> AsyncIterator[tuple[ValkeyClient, ServerFacts]]:
    client = connect(url, options=PATIENT)
    try:
        yield client, await check_server(client)
    finally:
        await client.aclose()
