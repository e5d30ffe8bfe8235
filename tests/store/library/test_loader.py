"""The library on the servers: loaded where it is missing, verified where it is not, never replaced, retired when unused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from valkey import Valkey
from valkey.asyncio.cluster import ValkeyCluster

from northstar.domain.limits import CellLimits
from northstar.domain.refusals import LibraryChanged
from northstar.store.cell import Cell
from northstar.store.errors import ValkeyGone
from northstar.store.function_library import build
from northstar.store.library_loader import (
    ANNOUNCEMENT_MS,
    PROCESSES_KEY,
    announce,
    announced_versions,
    ensure_loaded,
    retire_unused,
    withdraw,
)
from northstar.store.valkey import ValkeyClient, connect
from tests import servers
from tests.servers import RunningServer
from tests.store.library.rig import ask
from tests.store.library.versions import next_version, same_name_other_code

OLD, NEW, CHANGED = build(), next_version(), same_name_other_code()
KINDS: dict[str, Any] = {"valkey": servers.embedded_valkey, "redis7": servers.redis7, "cluster": servers.cluster}


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=["valkey", pytest.param("redis7", marks=pytest.mark.redis7), "cluster"]
)
async def running(request: pytest.FixtureRequest) -> AsyncIterator[RunningServer]:
    """Of its own, because tests here remove libraries."""
    async with KINDS[request.param]() as server:
        yield server


@pytest_asyncio.fixture
async def client(running: RunningServer) -> AsyncIterator[ValkeyClient]:
    """A client of servers without any library or announcement."""
    everywhere(running, "FUNCTION", "FLUSH")
    everywhere(running, "FLUSHALL")
    async with running.client() as connected:
        yield connected


def everywhere(running: RunningServer, *words: object) -> list[Any]:
    """Ask every primary the same."""
    return [on_one(running, at, *words) for at in range(len(running.nodes))]


def on_one(running: RunningServer, at: int, *words: object) -> Any:
    """Ask one primary, past the client under test."""
    with Valkey.from_url(running.nodes[at].url, socket_timeout=30) as node:
        return ask(node, *words)


def loaded(running: RunningServer) -> list[dict[str, str]]:
    """Libraries of every primary: name to code."""
    return [
        {entry[1].decode(): entry[entry.index(b"library_code") + 1].decode() for entry in listing}
        for listing in everywhere(running, "FUNCTION", "LIST", "WITHCODE")
    ]


async def test_it_is_loaded_on_every_primary(running: RunningServer, client: ValkeyClient) -> None:
    await ensure_loaded(client, OLD)
    assert loaded(running) == [{OLD.name: OLD.source}] * len(running.nodes)


async def test_loading_what_is_there_changes_nothing(running: RunningServer, client: ValkeyClient) -> None:
    await ensure_loaded(client, OLD)
    await ensure_loaded(client, OLD)
    assert loaded(running) == [{OLD.name: OLD.source}] * len(running.nodes)


async def test_many_processes_may_load_it_at_the_same_moment(running: RunningServer, client: ValkeyClient) -> None:
    others = [running.connect() for _ in range(8)]
    try:
        await asyncio.gather(*(ensure_loaded(other, OLD) for other in others))
    finally:
        for other in others:
            await other.aclose()
    assert loaded(running) == [{OLD.name: OLD.source}] * len(running.nodes)


async def test_a_primary_that_lacks_it_gets_it(running: RunningServer, client: ValkeyClient) -> None:
    await ensure_loaded(client, OLD)
    on_one(running, -1, "FUNCTION", "FLUSH")
    await ensure_loaded(client, OLD)
    assert loaded(running) == [{OLD.name: OLD.source}] * len(running.nodes)


async def test_a_new_version_is_loaded_beside_the_old_one(running: RunningServer, client: ValkeyClient) -> None:
    await ensure_loaded(client, OLD)
    await ensure_loaded(client, NEW)
    assert loaded(running) == [{OLD.name: OLD.source, NEW.name: NEW.source}] * len(running.nodes)


async def test_other_code_under_the_same_name_is_an_error_and_stays(
    running: RunningServer, client: ValkeyClient
) -> None:
    await ensure_loaded(client, CHANGED)
    with pytest.raises(LibraryChanged) as caught:
        await ensure_loaded(client, OLD)
    assert caught.value.facts == {"loaded": CHANGED.digest, "caller": OLD.digest}
    assert str(caught.value) == (
        f"the server runs another build of the function library ({CHANGED.digest}, this process has {OLD.digest}); "
        "restart from the same build everywhere, or raise the newer build's library version"
    )
    assert loaded(running) == [{CHANGED.name: CHANGED.source}] * len(running.nodes)


async def test_code_that_only_claims_our_digest_is_found_out(running: RunningServer, client: ValkeyClient) -> None:
    forged = msgspec.structs.replace(OLD, source=OLD.source + "\n-- and something else")
    await ensure_loaded(client, forged)
    with pytest.raises(LibraryChanged) as caught:
        await ensure_loaded(client, OLD)
    assert caught.value.facts["loaded"].startswith("sha256:")


async def test_a_server_that_is_gone_is_an_error_of_ours() -> None:
    client = connect("unix:///nowhere/at/all.sock")
    with pytest.raises(ValkeyGone):
        await ensure_loaded(client, OLD)
    await client.aclose()


# A running client --------------------------------------------------------------------------------------------------------


async def test_a_running_client_loads_the_library_again_when_the_servers_lost_it(
    running: RunningServer, client: ValkeyClient
) -> None:
    cell = Cell(client, "loader-lost")
    await cell.open(CellLimits())
    await cell.declare(["model:a"], by="me")
    everywhere(running, "FUNCTION", "FLUSH")
    await cell.declare(["model:b"], by="me")
    assert (await cell.statistics()).counts["live"] == 0
    assert OLD.name in loaded(running)[0]


async def test_a_running_client_is_told_when_the_library_was_changed(
    running: RunningServer, client: ValkeyClient
) -> None:
    cell = Cell(client, "loader-changed")
    await cell.open(CellLimits())
    everywhere(running, "FUNCTION", "LOAD", "REPLACE", CHANGED.source)
    with pytest.raises(LibraryChanged):
        await cell.declare(["model:a"], by="me")


async def test_a_process_with_another_build_does_not_start(running: RunningServer, client: ValkeyClient) -> None:
    await ensure_loaded(client, CHANGED)
    with pytest.raises(LibraryChanged):
        await Cell(client, "loader-start").open(CellLimits())


# Retirement ----------------------------------------------------------------------------------------------------------------


async def test_an_old_version_stays_as_long_as_a_process_announces_it(
    running: RunningServer, client: ValkeyClient
) -> None:
    await ensure_loaded(client, OLD)
    await ensure_loaded(client, NEW)
    await announce(client, process="serve-1", version=OLD.version)
    await announce(client, process="serve-2", version=NEW.version)
    assert await announced_versions(client) == {OLD.version, NEW.version}
    assert await retire_unused(client, NEW) == ()
    assert set(loaded(running)[0]) == {OLD.name, NEW.name}


async def test_it_goes_from_every_primary_when_the_last_process_has_withdrawn(
    running: RunningServer, client: ValkeyClient
) -> None:
    await ensure_loaded(client, OLD)
    await ensure_loaded(client, NEW)
    await announce(client, process="serve-1", version=OLD.version)
    await withdraw(client, process="serve-1", version=OLD.version)
    assert await retire_unused(client, NEW) == (OLD.version,)
    assert loaded(running) == [{NEW.name: NEW.source}] * len(running.nodes)
    assert await retire_unused(client, NEW) == ()


async def test_the_announcement_of_a_dead_process_lapses_by_the_servers_time(
    running: RunningServer, client: ValkeyClient
) -> None:
    await ensure_loaded(client, OLD)
    await announce(client, process="dead", version=OLD.version)
    await age_announcements(client, by_ms=ANNOUNCEMENT_MS - 30_000)
    assert await retire_unused(client, NEW) == ()
    await age_announcements(client, by_ms=60_000)
    assert await retire_unused(client, NEW) == (OLD.version,)


async def test_announcing_again_keeps_one_entry_and_drops_those_that_lapsed(client: ValkeyClient) -> None:
    await announce(client, process="dead", version=OLD.version)
    await age_announcements(client, by_ms=2 * ANNOUNCEMENT_MS)
    for _ in range(3):
        await announce(client, process="alive", version=OLD.version)
    assert await client.execute_command("ZRANGE", PROCESSES_KEY, 0, -1) == [b"1 alive"]


async def test_a_newer_version_is_never_retired_by_an_older_process(
    running: RunningServer, client: ValkeyClient
) -> None:
    await ensure_loaded(client, OLD)
    await ensure_loaded(client, NEW)
    assert await retire_unused(client, OLD) == ()
    assert set(loaded(running)[0]) == {OLD.name, NEW.name}


async def test_libraries_of_others_are_left_alone(running: RunningServer, client: ValkeyClient) -> None:
    foreign = "#!lua name=northstar_x\nredis.register_function('foreign', function() return 1 end)"
    on_one(running, 0, "FUNCTION", "LOAD", foreign)
    assert await retire_unused(client, NEW) == ()
    assert "northstar_x" in loaded(running)[0]


async def test_a_client_of_a_version_retired_too_early_loads_it_again(client: ValkeyClient) -> None:
    cell = Cell(client, "loader-early")
    await cell.open(CellLimits())
    assert await retire_unused(client, NEW) == (OLD.version,)
    await cell.declare(["model:a"], by="me")
    assert (await cell.statistics()).counts["live"] == 0


async def age_announcements(client: ValkeyClient, *, by_ms: int) -> None:
    """Make every announcement older."""
    entries: Any = await client.execute_command("ZRANGE", PROCESSES_KEY, 0, -1)
    for member in entries:
        await client.execute_command("ZINCRBY", PROCESSES_KEY, -by_ms, member)


async def test_a_cluster_is_asked_anew_for_its_primaries(running: RunningServer, client: ValkeyClient) -> None:
    """A primary that joined since the client connected is not forgotten."""
    await ensure_loaded(client, OLD)
    if isinstance(client, ValkeyCluster):
        client.nodes_manager.nodes_cache.clear()
    everywhere(running, "FUNCTION", "FLUSH")
    await ensure_loaded(client, OLD)
    assert loaded(running) == [{OLD.name: OLD.source}] * len(running.nodes)
