"""What the server that holds the cell says of itself, also where it would not do for North Star at all."""

from __future__ import annotations

import re
import time
from typing import Any, Final

import msgspec

from northstar.domain.errors import NorthstarError, Unavailable
from northstar.policy.health_checks.server import ServerVitals
from northstar.store.cell import Cell
from northstar.store.copies.connection import CellConnection, connected
from northstar.store.function_library import build
from northstar.store.valkey import ValkeyClient

_LIBRARY: Final = re.compile(r"northstar_(\d+)")


async def server_vitals(client: ValkeyClient, cell: Cell) -> ServerVitals:
    """Ask the server that holds the cell. Loads nothing and opens nothing.

    Raises:
        Unavailable: it does not answer.
    """
    async with connected(client, cell.keys["meta"]) as connection:
        info = _facts_of((await connection.ask("INFO")).decode(errors="replace"))
        before = time.time()
        seconds, microseconds = await connection.ask("TIME")
        after = time.time()
        server_ms = int(seconds) * 1000 + int(microseconds) // 1000
        libraries, problem = await _libraries(connection)
        fsync = await _fsync(connection)
        address = connection.address
    kind = "valkey" if "valkey_version" in info else "redis"
    vitals = ServerVitals(
        address=address,
        kind=kind,
        version=info.get("valkey_version") or info.get("redis_version", "0"),
        eviction=info.get("maxmemory_policy", "unknown"),
        aof_enabled=info.get("aof_enabled") == "1",
        fsync=fsync,
        last_write_ok=info.get("aof_last_write_status", "ok") == "ok",
        used_bytes=int(info.get("used_memory", "0")),
        max_bytes=int(info.get("maxmemory", "0")),
        libraries=libraries,
        library_problem=problem,
        library_wanted=cell.library.version,
        skew_ms=server_ms - round((before + after) * 500),
        asked_ms=round((after - before) * 1000),
    )
    ahead = await _cell_ahead(cell, server_ms) if cell.library.version in libraries and not problem else None
    return msgspec.structs.replace(vitals, cell_ahead_ms=ahead)


async def _libraries(connection: CellConnection) -> tuple[tuple[int, ...], str]:
    """Versions of our library that are loaded, and what is wrong with the one of this build."""
    try:
        answer = await connection.ask("FUNCTION", "LIST", "LIBRARYNAME", "northstar_*", "WITHCODE")
    except Unavailable as exc:
        return (), str(exc)
    ours, versions, problem = build(), [], ""
    for entry in answer:
        facts = {_text(name): value for name, value in zip(entry[::2], entry[1::2], strict=True)}
        name = _text(facts["library_name"])
        if found := _LIBRARY.fullmatch(name):
            versions.append(int(found[1]))
        if name == ours.name and _text(facts["library_code"]) != ours.source:
            problem = (
                "the server runs another build of the function library than this command has; restart from the same build everywhere, or "
                "use the command of the build that the brokers run"
            )
    return tuple(sorted(versions)), problem


async def _fsync(connection: CellConnection) -> str:
    """Managed servers forbid CONFIG; that one is not told is no fault."""
    try:
        answer = await connection.ask("CONFIG", "GET", "appendfsync")
    except Unavailable:
        return ""
    return _text(answer[1]) if len(answer) > 1 else ""


async def _cell_ahead(cell: Cell, server_ms: int) -> int | None:
    """How far the cell's clock, which is never set back, is before the server's; None where nobody has opened the cell here."""
    try:
        return (await cell.inspect(())).now_ms - server_ms
    except NorthstarError:
        return None


def _facts_of(info: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in info.splitlines() if ":" in line)
    return {name: value.strip() for name, _, value in pairs}


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
