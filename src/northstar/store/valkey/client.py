"""A client for a server of any shape: one, over TLS, on a unix socket, behind Sentinel, or a cluster.

No command is ever sent twice behind the caller's back: when a connection breaks, the caller is told and decides,
because only it knows whether the command may be repeated. (Redirections of a cluster are followed; they come before
a command takes effect.)
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any, Final

import msgspec
from valkey.asyncio import BlockingConnectionPool, Valkey
from valkey.asyncio.cluster import ClusterNode, ValkeyCluster
from valkey.asyncio.sentinel import Sentinel, SentinelConnectionPool

from northstar.store.valkey.connections import (
    SentinelTcpConnection,
    SentinelTlsConnection,
    TcpConnection,
    TlsConnection,
    UnixConnection,
)
from northstar.store.valkey.url import ServerUrl, parse_url

ValkeyClient = Valkey | ValkeyCluster

#: Notice a vanished peer after about a minute: first probe after 30 s of silence, then every 10 s, three times.
_KEEPALIVE: Final = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}


class ClientOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one client."""

    #: Connections of one client, to each node of a cluster.
    max_connections: int = 64
    #: How long a call may wait for a free connection, in seconds.
    acquire_timeout_s: float = 10.0
    connect_timeout_s: float = 5.0
    #: How long an answer may take, in seconds; a blocking command must ask the server for less.
    answer_timeout_s: float = 15.0
    #: Seen in CLIENT LIST.
    client_name: str = "northstar"


def connect(url: str | ServerUrl, *, options: ClientOptions | None = None) -> ValkeyClient:
    """Make a client for the server at `url`; it connects when it is first used.

    Answers are bytes. Close it with `aclose()`. Where many tasks share it, at most `max_connections` commands are
    under way and the others wait for up to `acquire_timeout_s`, in a cluster without that limit.

    Raises:
        UrlInvalid: The address cannot be understood. Whether a server is there shows in `check_server`.
    """
    server = parse_url(url) if isinstance(url, str) else url
    options = options or ClientOptions()
    match server.shape:
        case "cluster":
            return _cluster(server, options)
        case "sentinel":
            return _behind_sentinel(server, options)
        case _:
            return Valkey.from_pool(_single_pool(server, options))


def _single_pool(server: ServerUrl, options: ClientOptions) -> BlockingConnectionPool:
    arguments = _arguments(server, options) | {"db": server.db} | _pool_bounds(options)
    if server.shape == "unix":
        return BlockingConnectionPool(connection_class=UnixConnection, path=server.path, **arguments)
    address = server.addresses[0]
    return BlockingConnectionPool(
        connection_class=TlsConnection if server.tls else TcpConnection,
        host=address.host,
        port=address.port,
        **arguments,
        **_tcp_arguments(),
        **_tls_arguments(server),
    )


class _SentinelPool(SentinelConnectionPool, BlockingConnectionPool):
    """Follows the primary that Sentinel names, and waits for a free connection instead of failing."""

    async def disconnect(self, inuse_connections: bool = True) -> None:  # noqa: FBT001, FBT002 -- as the base has it
        """Close the connections; when the client closes, those to the Sentinels too."""
        await super().disconnect(inuse_connections)
        if inuse_connections:
            for watcher in self.sentinel_manager.sentinels:
                await watcher.connection_pool.disconnect()


def _behind_sentinel(server: ServerUrl, options: ClientOptions) -> Valkey:
    bounds = {
        "socket_timeout": options.connect_timeout_s,
        "socket_connect_timeout": options.connect_timeout_s,
        "username": server.sentinel_username,
        "password": server.sentinel_password,
        # `Valkey(ssl=…)` reads these; it has no wish of its own where they are absent.
        **({"ssl": True, **_tls_arguments(server)} if server.tls else {}),
    }
    hosts = [(address.host, address.port) for address in server.addresses]
    sentinel = Sentinel(hosts, sentinel_kwargs=bounds)  # type: ignore[no-untyped-call]
    pool = _SentinelPool(  # type: ignore[no-untyped-call]
        server.service,
        sentinel,
        connection_class=SentinelTlsConnection if server.tls else SentinelTcpConnection,
        db=server.db,
        **_arguments(server, options),
        **_pool_bounds(options),
        **_tcp_arguments(),
        **_tls_arguments(server),
    )
    return Valkey.from_pool(pool)


class _BoundedCluster(ValkeyCluster):
    """Waits for a free connection where the base class would raise: at most so many commands are under way."""

    __slots__ = ("_free",)

    def __init__(self, *, max_connections: int, **arguments: Any) -> None:
        super().__init__(max_connections=max_connections, **arguments)
        # The base class chooses its own; those of the nodes that it finds are made of these arguments.
        self.connection_kwargs["connection_class"] = TlsConnection if arguments.get("ssl") else TcpConnection
        self._free = asyncio.Semaphore(max_connections)

    async def execute_command(self, *args: Any, **kwargs: Any) -> Any:
        async with self._free:
            return await super().execute_command(*args, **kwargs)


def _cluster(server: ServerUrl, options: ClientOptions) -> ValkeyCluster:
    tls = {"ssl": True, **_tls_arguments(server)} if server.tls else {}
    return _BoundedCluster(
        startup_nodes=[ClusterNode(a.host, a.port) for a in server.addresses],
        max_connections=options.max_connections,
        connection_error_retry_attempts=0,
        cluster_error_retry_attempts=0,
        **_arguments(server, options),
        **_tcp_arguments(),
        **tls,
    )


def _arguments(server: ServerUrl, options: ClientOptions) -> dict[str, Any]:
    return {
        "username": server.username,
        "password": server.password,
        "client_name": options.client_name,
        "socket_timeout": options.answer_timeout_s,
        "socket_connect_timeout": options.connect_timeout_s,
        # No PING before use: a server whose disk is full refuses PING, but still answers reads. Keepalive probes
        # and a look at the socket before use find dead peers.
        "health_check_interval": 0,
    }


def _pool_bounds(options: ClientOptions) -> dict[str, Any]:
    return {"max_connections": options.max_connections, "timeout": options.acquire_timeout_s}


def _tcp_arguments() -> dict[str, Any]:
    probes: dict[int, int] = {}
    for name, value in _KEEPALIVE.items():
        with contextlib.suppress(AttributeError):  # a platform without this knob keeps its own value
            probes[getattr(socket, name)] = value
    return {"socket_keepalive": True, "socket_keepalive_options": probes}


def _tls_arguments(server: ServerUrl) -> dict[str, Any]:
    if server.tls is None:
        return {}
    return {
        "ssl_ca_certs": server.tls.ca_certs,
        "ssl_certfile": server.tls.certfile,
        "ssl_keyfile": server.tls.keyfile,
        "ssl_cert_reqs": "required" if server.tls.verify else "none",
        "ssl_check_hostname": server.tls.check_hostname,
    }
