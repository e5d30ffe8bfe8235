"""Everything on one machine: server, dispatcher, history and local machines, started in order and stopped in the reverse one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import msgspec

from northstar import __version__
from northstar.assembly.announcing import announced, older_versions_retired
from northstar.assembly.backups.mark import expect_no_mark
from northstar.assembly.broker import start_broker
from northstar.assembly.front import Front, OpenDoor
from northstar.assembly.listening import listening_on
from northstar.assembly.machine_pools import check_machine_pools
from northstar.assembly.machines import LocalMachines
from northstar.assembly.missing import expected
from northstar.assembly.outputs import expect_one_place, this_broker
from northstar.assembly.parts import PartEnded
from northstar.assembly.routing import RoutingParts
from northstar.assembly.run_file import KeptRunFile, RunFile, remove_run_file
from northstar.assembly.session import new_id
from northstar.assembly.webhooks import make_webhook_key
from northstar.config import Settings, default_services
from northstar.domain.admission import Grant
from northstar.store.cell import Cell
from northstar.store.embedded import EmbeddedValkey, RestartPolicy, ServerOptions
from northstar.store.embedded.lock import DataDirectoryLock
from northstar.store.history import HistoryDatabase
from northstar.store.valkey import ServerFacts, check_server, connect, redact
from northstar.store.words import undeclared
from northstar.telemetry import logger

log = logger(__name__)

_MIB: Final = 1024 * 1024
#: As many as one call of `declare` takes.
_WORDS_PER_CALL: Final = 500


class Stack(msgspec.Struct, frozen=True, kw_only=True):
    """What runs. `failure` is done, with an error, when a part has ended that must not."""

    settings: Settings
    url: str
    facts: ServerFacts
    cell: Cell
    front: Front
    machines: LocalMachines
    history: HistoryDatabase
    #: What decides where jobs wait.
    routing: RoutingParts
    failure: asyncio.Future[None]


@asynccontextmanager
async def running_stack(
    settings: Settings,
    *,
    open_door: OpenDoor,
    restart_machines: RestartPolicy | None,
    no_machines: bool = False,
    take_history: bool = False,
    settings_file: str = "",
) -> AsyncIterator[Stack]:
    """Run everything until the block ends. `settings.machines` run on this host, or, with `no_machines`, on others.

    `take_history` moves the cell's history to the one of the settings. `settings_file` is where the settings come from, for whoever backs up.

    Machines dial the front like any other; their tokens live as long as this process.

    Raises:
        DataDirectoryInUse: it runs already on this data directory. RestoreUnfinished: what is there is not whole.
        AddressUnavailable, TlsFilesUnusable: it cannot listen; then nothing was changed.
        OutputsElsewhere: another broker of the cell keeps outputs in another place.
        MachinePoolUnknown: a machine of the settings names a pool that is not in force.
        Unavailable: the server cannot be started, reached, or used; or the history cannot.
    """
    failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    async with AsyncExitStack() as stack:
        await _take_data_directory(settings, stack)
        # Before anything is started or bound: a start that cannot listen changes nothing.
        listening = stack.enter_context(listening_on(settings.serve))
        url = settings.valkey.url or await _embedded(settings, stack, failure=failure)
        facts, cell, cell_id, mine = await _opened(url, settings, stack)
        if no_machines:
            settings = msgspec.structs.replace(settings, machines=())
        make_webhook_key(settings)
        broker = await start_broker(
            settings,
            cell,
            stack,
            cell_id=cell_id,
            broker=mine,
            listening=listening,
            open_door=open_door,
            take_history=take_history,
            failure=failure,
        )
        front = broker.front
        running = KeptRunFile(
            settings.data_path, _run_file(settings, front, cell, url=url, settings_file=settings_file)
        )
        machines = _started_machines(settings, front, stack, restart=restart_machines, given_up=running.gives_up)
        running.write()
        stack.callback(remove_run_file, settings.data_path)
        yield Stack(
            settings=settings,
            url=url,
            facts=facts,
            cell=cell,
            front=front,
            machines=machines,
            history=broker.history,
            routing=broker.routing,
            failure=failure,
        )


async def _take_data_directory(settings: Settings, stack: AsyncExitStack) -> None:
    """Until the stack ends. Raises DataDirectoryInUse, and what `expect_no_mark` raises."""
    lock = DataDirectoryLock(settings.data_path)
    await lock.acquire()
    stack.callback(lock.close)
    expect_no_mark(settings.data_path)
    # What a killed predecessor left would lead commands to a server that is gone.
    remove_run_file(settings.data_path)


def _run_file(settings: Settings, front: Front, cell: Cell, *, url: str, settings_file: str) -> RunFile:
    """What commands on this host find."""
    return RunFile(
        url=url,
        front=front.url,
        cell=cell.name,
        pid=os.getpid(),
        version=__version__,
        settings_file=settings_file,
        machines=tuple(expected(machine) for machine in settings.machines),
    )


async def _opened(url: str, settings: Settings, stack: AsyncExitStack) -> tuple[ServerFacts, Cell, str, str]:
    """What the server is, the cell on it with the settings' limits and words, the cell's id, and ours among its brokers."""
    client = connect(url)
    stack.push_async_callback(client.aclose)
    facts = await check_server(client)
    cell = Cell(client, settings.cell_name)
    opened = await cell.open(settings.limits, configure=True, new_id=new_id)
    mine = this_broker(settings, cell, "up")
    await stack.enter_async_context(announced(cell, process=mine.process))
    await expect_one_place(cell, mine, alone=not settings.valkey.url)
    await stack.enter_async_context(older_versions_retired(cell))
    await check_machine_pools(cell, settings, settings.machines)  # before jobs are welcome in a pool that is none
    await _declare_services(cell, settings)
    return facts, cell, opened.id, mine.id


def _started_machines(
    settings: Settings,
    front: Front,
    stack: AsyncExitStack,
    *,
    restart: RestartPolicy | None,
    given_up: Callable[[str, str], None],
) -> LocalMachines:
    inherited = _for_machines(settings, front.url)
    machines = LocalMachines(inherited, mint=_minting(front, settings), restart=restart, given_up=given_up)
    stack.push_async_callback(machines.stop)
    machines.start(settings.machines)
    return machines


async def _embedded(settings: Settings, stack: AsyncExitStack, *, failure: asyncio.Future[None]) -> str:
    """Our own server, started again if it dies; its address."""
    wanted = settings.valkey
    server = EmbeddedValkey(
        settings.data_path / "valkey",
        options=ServerOptions(
            fsync=wanted.fsync,
            listen=wanted.listen,
            port=wanted.port or None,
            max_memory_bytes=wanted.max_memory_mib * _MIB or None,
            restart=RestartPolicy(),
        ),
    )
    await stack.enter_async_context(server)

    def tell(died: asyncio.Future[Any]) -> None:
        if not died.cancelled() and died.result() is not None and not failure.done():
            failure.set_exception(PartEnded("the embedded Valkey", died.result().sentence()))

    server.died.add_done_callback(tell)
    return server.url


def _for_machines(settings: Settings, front_url: str) -> Settings:
    """The settings that machines inherit: they dial the broker that runs here, and never learn where Valkey is."""
    return msgspec.structs.replace(
        settings,
        valkey=msgspec.structs.replace(settings.valkey, url=""),
        history=msgspec.structs.replace(settings.history, url=""),
        agent=msgspec.structs.replace(settings.agent, broker=front_url, token_file="", ca_file=settings.serve.tls_ca),
        cell=settings.cell_name,
        data_dir=str(settings.data_path.absolute()),
    )


async def _declare_services(cell: Cell, settings: Settings) -> None:
    """Jobs for what the settings name are welcome before any machine is ready, wherever it will run."""
    own = settings.services.keys() - default_services()  # the default ones need not run here
    of_machines = {word for machine in settings.machines for word in machine.profile().words()}
    # A job that names no pool asks for the standard one, and so does a machine.
    wanted = sorted(of_machines | {f"service:{name}" for name in own} | {"pool:standard"})
    # On a full server nothing new is declared, and only a broker that starts makes room there.
    words = await undeclared(cell.client, cell.keys, wanted)
    for first in range(0, len(words), _WORDS_PER_CALL):
        await cell.declare(words[first : first + _WORDS_PER_CALL], by="up")


def _minting(front: Front, settings: Settings) -> Callable[[str], str]:
    """What gives a machine of this host its token: good for what the settings say of it."""

    def mint(name: str) -> str:
        machine = settings.machine(name)
        if machine is None:
            raise LookupError(name)
        grant = Grant(pools=machine.pools, region=machine.region, tags=machine.tags, dedicated_to=machine.dedicated_to)
        return front.tokens.mint(name, grant)

    return mint


def shown(url: str) -> str:
    """The address without its secrets."""
    return redact(url)
