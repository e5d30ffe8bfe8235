"""Whether a server will do, and what a person should know about it."""

from __future__ import annotations

import re
from typing import Any, Final, Literal

import msgspec
from valkey.asyncio import Valkey
from valkey.asyncio.cluster import ClusterNode, ValkeyCluster
from valkey.exceptions import NoPermissionError, ResponseError

from northstar.domain.amounts import size
from northstar.store import errors
from northstar.store.valkey.client import ValkeyClient
from northstar.store.valkey.faults import FAULTS, translate

#: Functions came with 7.0, in Redis; every Valkey has them.
MIN_VERSION: Final = (7, 0)


class PrimaryFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One server that takes writes."""

    address: str
    kind: Literal["valkey", "redis"]
    version: str
    #: Changes with every start of the server.
    run_id: str
    aof_enabled: bool
    #: `always`, `everysec` or `no`; None where the server does not tell.
    fsync_policy: str | None
    #: Replicas connected at this moment.
    replicas: int
    #: None: no limit but the machine's.
    max_memory_bytes: int | None


class ServerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is behind a URL: one server, or every primary of a cluster. Single figures name the weakest of them."""

    is_cluster: bool
    primaries: tuple[PrimaryFacts, ...]

    @property
    def kind(self) -> str:
        """`valkey` or `redis`."""
        return self.primaries[0].kind

    @property
    def version(self) -> str:
        """The oldest version among the primaries."""
        return min((p.version for p in self.primaries), key=_version_tuple)

    @property
    def run_id(self) -> str:
        """Of the first primary; changes with every start of that server."""
        return self.primaries[0].run_id

    @property
    def aof_enabled(self) -> bool:
        """Whether every primary keeps an append-only file."""
        return all(p.aof_enabled for p in self.primaries)

    @property
    def fsync_policy(self) -> str | None:
        """The policy that all primaries share, else None."""
        policies = {p.fsync_policy for p in self.primaries}
        return policies.pop() if len(policies) == 1 else None

    @property
    def replicas(self) -> int:
        """Replicas connected to the primary that has the fewest."""
        return min(p.replicas for p in self.primaries)

    @property
    def max_memory_bytes(self) -> int | None:
        """The smallest limit, because a cell lives on one primary."""
        return min((p.max_memory_bytes for p in self.primaries if p.max_memory_bytes is not None), default=None)

    def sentence(self) -> str:
        """One line for the start of a process.

        Example: `valkey 9.1.2, append-only file everysec, 0 replicas, memory unlimited`.
        """
        cluster = f"cluster of {len(self.primaries)} primaries, " if self.is_cluster else ""
        aof = f"append-only file {self.fsync_policy or 'on'}" if self.aof_enabled else "NO append-only file"
        memory = "unlimited" if self.max_memory_bytes is None else size(self.max_memory_bytes)
        replicas = "1 replica" if self.replicas == 1 else f"{self.replicas} replicas"
        return f"{cluster}{self.kind} {self.version}, {aof}, {replicas}, memory {memory}"


async def check_server(client: ValkeyClient) -> ServerFacts:
    """Verify that the server, or every primary of the cluster, can hold North Star's state.

    Raises:
        Unavailable: It does not answer, refuses us, is too old (`ValkeyTooOld`), a replica (`ValkeyReadOnly`), throws
            data away when full (`ValkeyEvicts`), or runs no functions (`FunctionsMissing`).
    """
    try:
        if isinstance(client, ValkeyCluster):
            _ = await client.initialize()
            nodes = sorted(client.get_primaries(), key=lambda node: node.name)
            facts = [await _check_one(client, node) for node in nodes]
            if not facts:
                raise errors.ClusterDown("it names no primary")
            return ServerFacts(is_cluster=True, primaries=tuple(facts))
        return ServerFacts(is_cluster=False, primaries=(await _check_one(client, None),))
    except FAULTS as exc:
        raise translate(exc) from exc


async def _check_one(client: ValkeyClient, node: ClusterNode | None) -> PrimaryFacts:
    info: dict[str, Any] = await _ask(client, node, "INFO")
    address = node.name if node is not None else _address(client)
    kind, version = _kind_and_version(info)
    if _version_tuple(version) < MIN_VERSION:
        needed = ".".join(map(str, MIN_VERSION))
        raise errors.ValkeyTooOld(found=f"{kind.capitalize()} {version}", needed=needed, address=address)
    if info.get("loading"):
        raise errors.ValkeyLoading(f"the server at {address} has just started")
    if info.get("role") != "master":
        primary = f"{info.get('master_host', 'unknown')}:{info.get('master_port', 'unknown')}"
        raise errors.ValkeyReadOnly(f"the server at {address} is a replica of {primary}")
    policy = str(info.get("maxmemory_policy", "unknown"))
    if policy != "noeviction":
        raise errors.ValkeyEvicts(policy=policy, address=address)
    await _check_functions(client, node, address=address)
    return PrimaryFacts(
        address=address,
        kind=kind,
        version=version,
        run_id=str(info.get("run_id", "")),
        aof_enabled=bool(info.get("aof_enabled", 0)),
        fsync_policy=await _fsync_policy(client, node),
        replicas=int(info.get("connected_slaves", 0)),
        max_memory_bytes=int(info.get("maxmemory", 0)) or None,
    )


async def _ask(client: ValkeyClient, node: ClusterNode | None, *command: str) -> Any:
    if node is None:
        return await client.execute_command(*command)
    return await client.execute_command(*command, target_nodes=node)


async def _check_functions(client: ValkeyClient, node: ClusterNode | None, *, address: str) -> None:
    try:
        answer = await _ask(client, node, "FUNCTION STATS")
    except NoPermissionError as exc:
        raise errors.FunctionsMissing(
            address=address, reason=f"the user has no right to FUNCTION STATS ({exc})"
        ) from exc
    except ResponseError as exc:
        raise errors.FunctionsMissing(address=address, reason=str(exc)) from exc
    if b"LUA" not in _flat(answer):
        raise errors.FunctionsMissing(address=address, reason="the engine LUA is not among its engines")


def _flat(answer: Any) -> set[bytes]:
    """Every string in a nested answer, whichever protocol brought it."""
    if isinstance(answer, dict):
        return _flat([*answer.keys(), *answer.values()])
    if isinstance(answer, (list, tuple)):
        return set().union(*map(_flat, answer))
    if isinstance(answer, str):
        return {answer.encode()}
    return {answer} if isinstance(answer, bytes) else set()


async def _fsync_policy(client: ValkeyClient, node: ClusterNode | None) -> str | None:
    """Managed servers forbid CONFIG; that one is not told is no reason to refuse."""
    try:
        answer = await _ask(client, node, "CONFIG GET", "appendfsync")
    except ResponseError:
        return None
    pairs = answer if isinstance(answer, dict) else {}
    value = pairs.get("appendfsync") or pairs.get(b"appendfsync")
    return value.decode() if isinstance(value, bytes) else value


def _kind_and_version(info: dict[str, Any]) -> tuple[Literal["valkey", "redis"], str]:
    if "valkey_version" in info:
        return "valkey", str(info["valkey_version"])
    return "redis", str(info.get("redis_version", "0"))


def _version_tuple(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def _address(client: Valkey | ValkeyCluster) -> str:
    arguments = client.connection_pool.connection_kwargs if isinstance(client, Valkey) else {}
    if "path" in arguments:
        return str(arguments["path"])
    if "host" in arguments:
        return f"{arguments['host']}:{arguments['port']}"
    return "the address Sentinel names"
