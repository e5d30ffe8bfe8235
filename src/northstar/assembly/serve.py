"""One `serve`: the broker's front and its dispatcher over a Valkey that others run. It keeps nothing; start as many as wanted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec

from northstar.assembly.announcing import announced, older_versions_retired
from northstar.assembly.backups.mark import expect_no_mark
from northstar.assembly.broker import start_broker
from northstar.assembly.front import Front, OpenDoor
from northstar.assembly.listening import listening_on
from northstar.assembly.outputs import expect_one_place, this_broker
from northstar.assembly.session import find_place, new_id
from northstar.config import Settings
from northstar.store.cell import Cell
from northstar.store.history import HistoryDatabase
from northstar.store.valkey import ServerFacts, check_server, connect
from northstar.store.words import undeclared


class Serve(msgspec.Struct, frozen=True, kw_only=True):
    """What runs. `failure` is done, with an error, when a part has ended that must not."""

    cell: Cell
    front: Front
    facts: ServerFacts
    history: HistoryDatabase
    failure: asyncio.Future[None]


@asynccontextmanager
async def running_serve(settings: Settings, *, open_door: OpenDoor, take_history: bool = False) -> AsyncIterator[Serve]:
    """Serve until the block ends; `take_history` moves the cell's history to the one of the settings.

    Raises:
        NotRunning, UrlInvalid: there is no server to speak to. Unavailable: it cannot be used, or the history cannot.
        OutputsElsewhere: another broker of the cell keeps outputs in another place.
        RestoreUnfinished: a restore into the data directory was interrupted.
        AddressUnavailable, TlsFilesUnusable: it cannot listen; then nothing was changed.
    """
    failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    expect_no_mark(settings.data_path)
    place = find_place(settings)
    async with AsyncExitStack() as stack:
        # First of all: where it cannot listen, it must not have taken the cell's history either.
        listening = stack.enter_context(listening_on(settings.serve))
        client = connect(place.url)
        stack.push_async_callback(client.aclose)
        facts = await check_server(client)
        cell = Cell(client, place.cell)
        opened = await cell.open(settings.limits, new_id=new_id)
        mine = this_broker(settings, cell, "serve")
        await stack.enter_async_context(announced(cell, process=mine.process))
        await expect_one_place(cell, mine, alone=False)
        await stack.enter_async_context(older_versions_retired(cell))
        # On a full server nothing new is declared, and only a broker that starts makes room there.
        if new_words := await undeclared(client, cell.keys, ["pool:standard"]):
            await cell.declare(new_words, by="serve")
        broker = await start_broker(
            settings,
            cell,
            stack,
            cell_id=opened.id,
            broker=mine.id,
            listening=listening,
            open_door=open_door,
            take_history=take_history,
            failure=failure,
        )
        yield Serve(cell=cell, front=broker.front, facts=facts, history=broker.history, failure=failure)
