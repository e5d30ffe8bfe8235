"""How an embedded server is doing."""

from __future__ import annotations

from typing import Any

import msgspec

from northstar.store.valkey import ValkeyClient


class ServerHealth(msgspec.Struct, frozen=True, kw_only=True):
    """What the server says about itself at one moment."""

    version: str
    pid: int
    uptime_s: int
    connected_clients: int
    used_memory_bytes: int
    max_memory_bytes: int | None
    aof_enabled: bool
    #: Size of the append-only file, base and increments; 0 without one.
    aof_size_bytes: int
    aof_rewrite_in_progress: bool
    #: False: the last write or sync of the append-only file failed and no write is taken until one works again.
    aof_write_ok: bool
    #: False: the last rewrite failed; nothing is lost, but the file keeps growing.
    aof_rewrite_ok: bool
    #: How often a write had to wait because the disk was slow to sync.
    aof_delayed_syncs: int
    #: The server's own words about the last failure, where its log has them.
    last_write_error: str | None

    @property
    def is_well(self) -> bool:
        """Whether it takes writes and keeps them."""
        return self.aof_write_ok


async def read_health(client: ValkeyClient, *, last_words: str) -> ServerHealth:
    """Ask the server; `last_words` is what its log last warned of, told only if a write has failed."""
    info: dict[str, Any] = await client.execute_command("INFO")
    write_ok = info.get("aof_last_write_status", "ok") == "ok"
    return ServerHealth(
        version=str(info.get("valkey_version") or info["redis_version"]),
        pid=int(info["process_id"]),
        uptime_s=int(info["uptime_in_seconds"]),
        connected_clients=int(info["connected_clients"]),
        used_memory_bytes=int(info["used_memory"]),
        max_memory_bytes=int(info["maxmemory"]) or None,
        aof_enabled=bool(info["aof_enabled"]),
        aof_size_bytes=int(info.get("aof_current_size", 0)),
        aof_rewrite_in_progress=bool(info["aof_rewrite_in_progress"]),
        aof_write_ok=write_ok,
        aof_rewrite_ok=info.get("aof_last_bgrewrite_status", "ok") == "ok",
        aof_delayed_syncs=int(info.get("aof_delayed_fsync", 0)),
        last_write_error=None if write_ok else (last_words or "the server's log does not say why"),
    )
