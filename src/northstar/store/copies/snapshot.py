"""A copy of a cell, taken beside it by its own server in one transaction, and read in bounded pieces while the cell goes on.

So no half of a transition is in it, whatever happens meanwhile: all keys of the copy are of one moment. The server serves nobody while
it copies; then the copy is nobody's but ours. It lapses by itself when nobody renews it, so one that was abandoned needs no clearing away.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec

from northstar.domain.errors import Unavailable
from northstar.domain.events import EventId
from northstar.domain.refusals import CellMissing
from northstar.store.copies.connection import CellConnection, connected
from northstar.store.copies.errors import CopyLost, CopyNeedsMemory
from northstar.store.copies.frames import FRAME_ENTRIES, STREAM_STATE, Frame, split
from northstar.store.keys import KEY_KINDS, CellKeys
from northstar.store.valkey import ValkeyClient

#: A copy that nobody renews goes after so long.
LAPSE_MS: Final = 600_000
_RENEW_EVERY_S: Final = 60.0
_SIZE: Final = {"hash": "HLEN", "zset": "ZCARD", "stream": "XLEN"}
#: What HSCAN is asked for at a time; values may have 64 KiB and more.
_HASH_ENTRIES: Final = 200


class CellIdentity(msgspec.Struct, frozen=True):
    """What a cell says of itself: the layout of its records, its clock, its epoch, and the id that it is known by."""

    schema: int
    clock: str
    epoch: int
    id: str = ""


class CellCopy:
    """A copy that was taken. `sizes` says how many entries each part has; empty parts are left out."""

    def __init__(self, connection: CellConnection, keys: CellKeys, *, identity: CellIdentity, at_ms: int) -> None:
        self.identity = identity
        #: The server's time at which it was taken, ms since epoch.
        self.at_ms = at_ms
        #: The latest event that was numbered; None while there was none.
        self.latest: EventId | None = None
        self.sizes: dict[str, int] = {}
        self._connection = connection
        self._keys = keys
        self._renewed = time.monotonic()

    async def frames(self) -> AsyncIterator[Frame]:
        """Everything in it, a piece at a time.

        Raises:
            CopyLost: it went meanwhile. Unavailable: the server does not answer.
        """
        for part in self.sizes:
            read = {"hash": self._hash, "zset": self._zset, "stream": self._stream}[KEY_KINDS[part]]
            async for frame in read(part):
                yield frame
                await self._renew()
        if self.latest is not None:
            yield Frame(STREAM_STATE, await self._stream_state())
        await self._measure(expected=self.sizes)

    async def measure(self) -> None:
        """Note how much there is, and up to which event. A stream that was trimmed to its end is there, with nothing in it."""
        self.sizes = await self._measure()
        if await self._connection.ask("EXISTS", self._keys["events"]):
            self.latest = EventId.parse((await self._stream_state())[0].decode())

    async def _measure(self, *, expected: dict[str, int] | None = None) -> dict[str, int]:
        sizes = await self._connection.ask_all([(_SIZE[kind], self._keys[part]) for part, kind in KEY_KINDS.items()])
        found = {part: int(size) for part, size in zip(KEY_KINDS, sizes, strict=True) if size}
        for part, wanted in (expected or {}).items():
            if found.get(part, 0) != wanted:
                raise CopyLost(part=part, found=found.get(part, 0), wanted=wanted)
        return found

    async def _hash(self, part: str) -> AsyncIterator[Frame]:
        cursor = b"0"
        while True:
            cursor, items = await self._connection.ask("HSCAN", self._keys[part], cursor, "COUNT", _HASH_ENTRIES)
            for frame in split(part, items):
                yield frame
            if cursor == b"0":
                return

    async def _zset(self, part: str) -> AsyncIterator[Frame]:
        for first in range(0, self.sizes[part], FRAME_ENTRIES):
            last = first + FRAME_ENTRIES - 1
            for frame in split(part, await self._connection.ask("ZRANGE", self._keys[part], first, last, "WITHSCORES")):
                yield frame

    async def _stream(self, part: str) -> AsyncIterator[Frame]:
        after = "-"
        while entries := await self._connection.ask("XRANGE", self._keys[part], after, "+", "COUNT", FRAME_ENTRIES):
            items: list[bytes] = []
            for entry, fields in entries:
                items += (entry, msgspec.msgpack.encode(fields))
            for frame in split(part, items):
                yield frame
            after = f"({entries[-1][0].decode()}"

    async def _stream_state(self) -> list[bytes]:
        flat: list[Any] = await self._connection.ask("XINFO", "STREAM", self._keys["events"])
        facts = dict(zip(flat[::2], flat[1::2], strict=True))
        return [
            facts[b"last-generated-id"],
            str(facts[b"entries-added"]).encode(),
            facts[b"max-deleted-entry-id"],
        ]

    async def _renew(self) -> None:
        if time.monotonic() - self._renewed > _RENEW_EVERY_S:
            self._renewed = time.monotonic()
            await self._connection.ask_all([("PEXPIRE", self._keys[part], LAPSE_MS) for part in KEY_KINDS])


@asynccontextmanager
async def copied(client: ValkeyClient, keys: CellKeys, *, copy_id: str) -> AsyncIterator[CellCopy]:
    """A copy of the cell as it is at one moment, under names of its own (`copy_id` is nobody else's), until the block ends.

    Raises:
        CellMissing: there is no cell. CopyNeedsMemory: the server has no room for it.
        Unavailable: the server does not answer, or refuses us a command.
    """
    copies = CellKeys(keys.cell, beside=f"copy-{copy_id}")
    async with connected(client, keys["meta"]) as connection:
        await _expect_room(connection, keys)
        taken: list[tuple[bytes | str | int, ...]] = [("TIME",), ("HGET", keys["meta"], "identity")]
        taken += [("COPY", keys[part], copies[part]) for part in KEY_KINDS]
        taken += [("PEXPIRE", copies[part], LAPSE_MS) for part in KEY_KINDS]
        try:
            (seconds, microseconds), identity, *_ = await connection.all_or_none(taken)
            if identity is None:
                raise CellMissing({"key": keys["meta"].decode()})
            copy = CellCopy(
                connection,
                copies,
                identity=msgspec.msgpack.decode(identity, type=CellIdentity),
                at_ms=int(seconds) * 1000 + int(microseconds) // 1000,
            )
            await copy.measure()
            yield copy
        finally:
            with contextlib.suppress(Unavailable):  # then it lapses
                await drop(client, copies)


async def drop(client: ValkeyClient, keys: CellKeys) -> None:
    """Remove a copy, over a connection of its own, since the other may have broken; at worst it lapses. Raises Unavailable."""
    async with connected(client, keys["meta"]) as connection:
        await connection.ask("UNLINK", *(keys[part] for part in KEY_KINDS))


async def _expect_room(connection: CellConnection, keys: CellKeys) -> None:
    """A server beyond its limit would refuse everybody's work for as long as the copy is there. Raises CopyNeedsMemory."""
    info = (await connection.ask("INFO", "memory")).decode()
    facts = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
    limit = int(facts.get("maxmemory", "0"))
    if not limit:
        return
    sizes = await connection.ask_all([("MEMORY", "USAGE", keys[part], "SAMPLES", 50) for part in KEY_KINDS])
    needed, free = sum(size or 0 for size in sizes), limit - int(facts["used_memory"])
    if needed > free:
        raise CopyNeedsMemory(needed_bytes=needed, free_bytes=max(0, free))
