"""Keep the function library on the servers: loaded, verified, side by side with other versions, and removed when nobody needs it.

A library is never replaced. A name that is taken by other code is an error, because replacing it would change the meaning of
calls that other processes are making at this moment; a change of meaning gets a version, and so a name, of its own.
See `docs/decisions/0004-versions-side-by-side.md`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any, Final

from valkey.asyncio.cluster import ClusterNode, ValkeyCluster
from valkey.exceptions import ResponseError

from northstar.domain.refusals import LibraryChanged
from northstar.store.function_library import Library
from northstar.store.valkey import FAULTS, ValkeyClient, translate

#: Which versions running processes use (a name that no cell can have): a sorted set of "version process" by the server's time of the latest announcement.
PROCESSES_KEY: Final = "ns:{_library}:processes"
#: A process that has not announced itself for so long counts as gone. Processes announce at least three times as often.
ANNOUNCEMENT_MS: Final = 180_000

_DIGEST: Final = re.compile(r"DIGEST = '([0-9a-f]{16})'")
_NAME: Final = re.compile(r"northstar_(\d+)")


async def ensure_loaded(client: ValkeyClient, library: Library) -> None:
    """Load `library` on every primary that lacks it, and verify it, by its whole text, on every one that has it.

    Call it at start, and once again when a call answers "Function not found": a primary may have joined, or lost its
    functions. It asks a cluster anew which primaries it has.

    Raises:
        LibraryChanged: Other code is loaded under the same name; `facts` hold both digests. Nothing was replaced.
        Unavailable: A server does not answer, or refuses us.
    """
    try:
        for node in await _primaries(client):
            await _ensure_loaded_on(client, node, library)
    except FAULTS as exc:
        raise translate(exc) from exc


async def announce(client: ValkeyClient, *, process: str, version: int) -> None:
    """Say that `process` (any name that no other has) is running with this version of the library.

    An announcement holds for `ANNOUNCEMENT_MS` by the server's clock; repeat it well before. A process that ends may
    say so with `withdraw`, else its announcement lapses.

    Raises:
        Unavailable: The server does not answer, or refuses us.
    """
    try:
        now_ms = await _server_now_ms(client)
        await client.execute_command("ZREMRANGEBYSCORE", PROCESSES_KEY, "-inf", f"({now_ms - ANNOUNCEMENT_MS}")
        await client.execute_command("ZADD", PROCESSES_KEY, now_ms, f"{version} {process}")
    except FAULTS as exc:
        raise translate(exc) from exc


async def withdraw(client: ValkeyClient, *, process: str, version: int) -> None:
    """Take back the announcement of a process that ends.

    Raises:
        Unavailable: The server does not answer, or refuses us.
    """
    try:
        await client.execute_command("ZREM", PROCESSES_KEY, f"{version} {process}")
    except FAULTS as exc:
        raise translate(exc) from exc


async def announced_versions(client: ValkeyClient) -> frozenset[int]:
    """Versions that some process has announced within the last `ANNOUNCEMENT_MS` of the server's time. Raises Unavailable."""
    return frozenset(int(member.split(b" ", 1)[0]) for member in await _announcements(client))


async def announced_processes(client: ValkeyClient) -> list[str]:
    """The names of the processes that have announced themselves within the last `ANNOUNCEMENT_MS`, the latest announcement last.

    Raises:
        Unavailable: The server does not answer, or refuses us.
    """
    return [member.partition(b" ")[2].decode("utf-8", "replace") for member in await _announcements(client)]


async def _announcements(client: ValkeyClient) -> list[bytes]:
    try:
        since_ms = await _server_now_ms(client) - ANNOUNCEMENT_MS
        members: list[bytes] = await client.execute_command("ZRANGEBYSCORE", PROCESSES_KEY, since_ms, "+inf")
    except FAULTS as exc:
        raise translate(exc) from exc
    return members


async def retire_unused(client: ValkeyClient, library: Library) -> tuple[int, ...]:
    """Delete, on every primary, versions older than `library` that no process announces. Gives those deleted.

    Newer ones stay: their processes may be about to start. A process that begins to use an old version at this very
    moment loses nothing: its next call answers "Function not found" and it loads the version again.

    Raises:
        Unavailable: A server does not answer, or refuses us.
    """
    deleted: set[int] = set()
    in_use = await announced_versions(client)
    try:
        for node in await _primaries(client):
            for version in await _versions_on(client, node):
                if version < library.version and version not in in_use and await _delete(client, node, version):
                    deleted.add(version)
    except FAULTS as exc:
        raise translate(exc) from exc
    return tuple(sorted(deleted))


async def _primaries(client: ValkeyClient) -> list[ClusterNode | None]:
    if not isinstance(client, ValkeyCluster):
        return [None]
    _ = await client.initialize()
    await client.nodes_manager.initialize()
    # The parser would go on asking a node object that is replaced now, over a connection that nobody closes.
    await client.commands_parser.initialize(client.nodes_manager.default_node)
    return [*sorted(client.get_primaries(), key=lambda node: str(node.name))]


async def _ask(client: ValkeyClient, node: ClusterNode | None, *command: str) -> Any:
    if node is None:
        return await client.execute_command(*command)
    return await client.execute_command(*command, target_nodes=node)


async def _ensure_loaded_on(client: ValkeyClient, node: ClusterNode | None, library: Library) -> None:
    if await _verified(client, node, library):
        return
    try:
        await _ask(client, node, "FUNCTION LOAD", library.source)
    except ResponseError as exc:
        # Another process was quicker. What it loaded is verified like everything else.
        if "already exists" not in str(exc) or not await _verified(client, node, library):
            raise


async def _verified(client: ValkeyClient, node: ClusterNode | None, library: Library) -> bool:
    """Whether the library is there; an error when something else is there in its place."""
    answer = await _ask(client, node, "FUNCTION LIST", "LIBRARYNAME", library.name, "WITHCODE")
    codes = [entry["library_code"] for entry in map(_named, answer)]
    for code in codes:
        if code != library.source:
            raise LibraryChanged({"loaded": _digest_of(code, unlike=library.digest), "caller": library.digest})
    return bool(codes)


def _digest_of(code: str, *, unlike: str) -> str:
    """The digest that the code says it has; its own checksum where it says none, or claims to be what it is not."""
    found = _DIGEST.search(code)
    if found is None or found[1] == unlike:
        return "sha256:" + hashlib.sha256(code.encode()).hexdigest()[:16]
    return found[1]


async def _versions_on(client: ValkeyClient, node: ClusterNode | None) -> list[int]:
    answer = await _ask(client, node, "FUNCTION LIST", "LIBRARYNAME", "northstar_*")
    names = (_NAME.fullmatch(entry["library_name"]) for entry in map(_named, answer))
    return sorted(int(name[1]) for name in names if name)


async def _delete(client: ValkeyClient, node: ClusterNode | None, version: int) -> bool:
    try:
        await _ask(client, node, "FUNCTION DELETE", f"northstar_{version}")
    except ResponseError as exc:
        if "Library not found" not in str(exc):
            raise
        return False
    return True


async def _server_now_ms(client: ValkeyClient) -> int:
    """Time of the server that holds the announcements, in ms since 1970."""
    node = None
    if isinstance(client, ValkeyCluster):
        _ = await client.initialize()
        node = client.get_node_from_key(PROCESSES_KEY)
    seconds, microseconds = await _ask(client, node, "TIME")
    return int(seconds) * 1000 + int(microseconds) // 1000


def _named(entry: Any) -> dict[str, str]:
    """One library of FUNCTION LIST as names and texts, whichever protocol brought it."""
    pairs: Iterable[tuple[Any, Any]] = (
        entry.items() if isinstance(entry, dict) else zip(*[iter(entry)] * 2, strict=True)
    )
    return {_text(name): _text(value) for name, value in pairs if isinstance(value, (bytes, str))}


def _text(value: bytes | str) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
