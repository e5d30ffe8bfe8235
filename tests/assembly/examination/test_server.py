"""Faults of the server, provoked on real ones."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from northstar.domain.limits import CellLimits
from northstar.policy.health_checks.finding import Finding
from northstar.policy.health_checks.server import CHECKS
from northstar.store.cell import Cell
from northstar.store.function_library import build
from tests import servers
from tests.assembly.examination.conftest import Doctor
from tests.servers import RunningServer


@pytest_asyncio.fixture
async def server() -> AsyncIterator[RunningServer]:
    async with servers.embedded_valkey() as running, running.client() as client:
        await Cell(client, "cell").open(CellLimits())
        yield running


async def after(doctor: Doctor, server: RunningServer, *command: Any) -> dict[str, Finding]:
    """What is found once the server was told this."""
    async with server.client() as client:
        if command:
            await client.execute_command(*command)
    return await doctor(valkey__url=server.url, cell="cell")


async def test_a_good_server_is_good_in_every_way(doctor: Doctor, server: RunningServer) -> None:
    found = await after(doctor, server)
    assert {found[check].verdict for check in ("valkey", *CHECKS)} == {"ok"}
    assert found["valkey_persistence"].facts == {"append_only": True, "fsync": "everysec"}
    assert abs(float(found["clock"].facts["skew_s"] or 0)) < 2


@pytest.mark.redis7
async def test_redis_is_as_good(doctor: Doctor) -> None:
    async with servers.redis7() as server:
        found = await after(doctor, server)
        assert found["valkey"].what.startswith("redis 7.")
        assert {found[check].verdict for check in ("valkey", *CHECKS)} <= {"ok", "skipped"}


async def test_a_cluster_is_asked_where_the_cell_is(doctor: Doctor) -> None:
    async with servers.cluster() as cluster:
        found = await after(doctor, cluster)
        assert found["valkey"].verdict == "ok"
        assert found["valkey_eviction"].verdict == "ok"


async def test_a_server_that_throws_jobs_away_is_told_with_the_command_against_it(
    doctor: Doctor, server: RunningServer
) -> None:
    found = (await after(doctor, server, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru"))["valkey_eviction"]
    assert found.verdict == "fault"
    path = server.url.removeprefix("unix://")
    assert found.cure == f"valkey-cli -s {path} CONFIG SET maxmemory-policy noeviction"


async def test_a_server_without_an_append_only_file_is_warned_of(doctor: Doctor, server: RunningServer) -> None:
    found = (await after(doctor, server, "CONFIG", "SET", "appendonly", "no"))["valkey_persistence"]
    assert found.verdict == "warning"
    assert "appendonly yes" in found.cure
    await after(doctor, server, "CONFIG", "SET", "appendonly", "yes")
    found = (await after(doctor, server, "CONFIG", "SET", "appendfsync", "no"))["valkey_persistence"]
    assert found.verdict == "warning"
    assert "appendfsync everysec" in found.cure


async def test_a_server_that_is_nearly_full_is_a_fault_before_it_is_full(doctor: Doctor) -> None:
    async with servers.embedded_valkey() as server, server.client() as client:
        # Written by the server itself: for a value that a client sends it keeps as much again until it looks at the client's buffers.
        await client.execute_command("SETRANGE", "big", 39_999_999, b"x")
        used = int((await client.execute_command("INFO", "memory"))["used_memory"])
        for part, verdict in ((0.5, "ok"), (0.9, "warning"), (0.97, "fault")):
            limit = int(used / part)
            found = (await after(doctor, server, "CONFIG", "SET", "maxmemory", limit))["valkey_memory"]
            assert found.verdict == verdict
        assert found.cure.endswith(f"CONFIG SET maxmemory {2 * limit}")


async def test_a_library_of_another_build_is_a_fault_and_a_missing_one_is_not(
    doctor: Doctor, server: RunningServer
) -> None:
    other = build().source.replace(build().digest, "f" * 16)
    found = (await after(doctor, server, "FUNCTION", "LOAD", "REPLACE", other))["valkey_library"]
    assert found.verdict == "fault"
    assert "another build" in found.what
    found = (await after(doctor, server, "FUNCTION", "FLUSH"))["valkey_library"]
    assert found.verdict == "skipped"
    async with server.client() as client:  # and it was not loaded by asking
        assert await client.execute_command("FUNCTION", "LIST") == []


async def test_a_cell_ahead_of_its_servers_clock_is_told(doctor: Doctor, server: RunningServer) -> None:
    import msgspec

    async with server.client() as client:
        cell = Cell(client, "cell")
        await cell.open(CellLimits())
        await cell.declare(["pool:x"], by="test")
        hot: list[Any] = msgspec.msgpack.decode(await client.execute_command("HGET", cell.keys["meta"], "hot"))
        latest = max(value for value in hot if isinstance(value, int | float))
        ahead = [value + 300_000 if value == latest else value for value in hot]
        await client.execute_command("HSET", cell.keys["meta"], "hot", msgspec.msgpack.encode(ahead))
    found = (await after(doctor, server))["clock"]
    assert found.verdict == "fault"
    assert "was set back" in found.what
    assert 290 < float(found.facts["cell_ahead_s"] or 0) <= 300


async def test_a_server_that_is_not_there_leaves_the_rest_unjudged(doctor: Doctor, tmp_path: Path) -> None:
    found = await doctor(valkey__url=f"unix://{tmp_path}/no.sock", cell="cell")
    assert found["valkey"].verdict == "fault"
    assert found["valkey"].facts == {"code": "NS_VALKEY_GONE"}
    assert {found[check].verdict for check in CHECKS} == {"skipped"}


async def test_an_address_that_is_none_is_told_without_its_password(doctor: Doctor) -> None:
    secret = secrets.token_hex(8)
    found = await doctor(valkey__url=f"http://user:{secret}@host")
    assert found["valkey"].facts == {"code": "NS_VALKEY_URL_INVALID"} or found["valkey"].verdict == "fault"
    assert secret not in str(found)
