"""Which server holds a key, and how to reach just that one."""

from __future__ import annotations

from typing import Any

from valkey.asyncio import Valkey
from valkey.asyncio.cluster import ClusterNode, ValkeyCluster
from valkey.asyncio.connection import AbstractConnection

from northstar.store.valkey.client import ValkeyClient


def _node_for(client: ValkeyCluster, key: bytes) -> ClusterNode:
    node = client.get_node_from_key(key.decode())
    if node is None:
        raise ConnectionError(f"no node of the cluster serves the slot of {key.decode()}")
    return node


async def run_id_for(client: ValkeyClient, key: bytes) -> str:
    """Run id of the server that holds `key`; it changes with every start and with a promotion."""
    info = await ask_node_of(client, key, "INFO", "server")
    return str(info["run_id"])


async def ask_node_of(client: ValkeyClient, key: bytes, *command: str) -> Any:
    """The answer of the server that holds `key` to a command that names no key."""
    if isinstance(client, ValkeyCluster):
        _ = await client.initialize()
        return await client.execute_command(*command, target_nodes=_node_for(client, key))
    single: Any = client  # the library leaves these calls untyped
    return await single.execute_command(*command)


async def connection_for(client: ValkeyClient, key: bytes) -> AbstractConnection:
    """A connection of its own to the server that holds `key`, for what blocks or listens. The caller disconnects it."""
    if isinstance(client, Valkey):
        pool = client.connection_pool
        connection: Any = pool.connection_class(**pool.connection_kwargs)
    else:
        _ = await client.initialize()
        node = _node_for(client, key)
        connection = node.connection_class(host=node.host, port=node.port, **_plain(node.connection_kwargs))
    await connection.connect()
    opened: AbstractConnection = connection
    return opened


def _plain(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if name not in {"host", "port"}}
