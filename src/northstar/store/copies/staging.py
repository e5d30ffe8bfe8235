"""A cell that is written beside the place where it is to be, made ready there, and put into that place in one transaction.

Until then whoever looks at the place sees what was there before. What is staged lapses by itself when nobody renews it, so a restore that
was killed leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec

from northstar.domain.errors import Unavailable
from northstar.domain.limits import CellLimits
from northstar.store.cell import Cell
from northstar.store.copies.connection import Aborted, CellConnection, Command, connected
from northstar.store.copies.errors import CellChanged, CellNotEmpty, CopyLost, EpochOutOfReach
from northstar.store.copies.frames import STREAM_STATE, Frame
from northstar.store.copies.snapshot import LAPSE_MS, drop
from northstar.store.keys import KEY_KINDS, CellKeys
from northstar.store.library_loader import ensure_loaded
from northstar.store.messages import OpenReply
from northstar.store.valkey import ValkeyClient

_SIZE: Final = {"hash": "HLEN", "zset": "ZCARD", "stream": "XLEN"}
_RENEW_EVERY_S: Final = 60.0
#: Entries of a stream that are added in one go.
_AT_ONCE: Final = 500
#: Machines that are let go in one go over their list.
_MACHINES: Final = 10_000
#: Starts of a server since a backup that are believed; each call raises the epoch by one.
_MOST_EPOCHS: Final = 20_000
_WHY: Final = "the cell was restored from a backup"


class StagedCell:
    """A cell beside its place."""

    def __init__(self, client: ValkeyClient, keys: CellKeys, *, restore_id: str) -> None:
        self._client = client
        self._keys = keys
        self._id = restore_id
        self._staged = CellKeys(keys.cell, beside=f"restore-{restore_id}")
        self._renewed = 0.0

    async def write(self, frames: Iterable[Frame], *, sizes: Mapping[str, int]) -> None:
        """Write all pieces, of parts of these sizes.

        Raises:
            CopyLost: what is there now has not these sizes. Unavailable: the server does not answer, or has no room.
        """
        async with connected(self._client, self._keys["meta"]) as connection:
            for frame in frames:
                for commands in _in_bounds(self._commands(frame)):
                    await connection.ask_all(commands)
                await self._renew(connection)
            await self._renew(connection, at_once=True)
            measured = await connection.ask_all([(_SIZE[kind], self._staged[part]) for part, kind in KEY_KINDS.items()])
        for part, found in zip(KEY_KINDS, measured, strict=True):
            if found != sizes.get(part, 0):
                raise CopyLost(part=part, found=found, wanted=sizes.get(part, 0))

    async def begin_anew(self, limits: CellLimits, *, nonce: str, above_epoch: int = 0) -> OpenReply:
        """Raise the epoch, beyond `above_epoch` too, and let all machines go: their jobs go back to the front of their lanes, uncharged.

        What a machine holds since before the copy is worth nothing from then on: it is refused by name, and claims anew.

        Raises:
            SchemaUnsupported: the cell is of another version. EpochOutOfReach: so high it cannot have become. Unavailable: the server does not answer.
        """
        cell = Cell(self._client, self._keys.cell, keys=self._staged)
        await ensure_loaded(self._client, cell.library)
        reply = await self._opened(cell, limits, number=0)
        if above_epoch - reply.epoch > _MOST_EPOCHS:
            raise EpochOutOfReach(cell=cell.name, epoch=reply.epoch - 1, wanted=above_epoch)
        for number in range(1, above_epoch - reply.epoch + 2):
            reply = await self._opened(cell, limits, number=number)
        for at, machine in enumerate(await self._machines()):
            request = {"machine": machine, "because": _WHY, "lost": False, "nonce": f"{nonce}-{at}"}
            await cell.call("remove_machine", request, dict[str, int])
        async with connected(self._client, self._keys["meta"]) as connection:
            await self._renew(connection, at_once=True)  # some parts began only now
        return reply

    async def expect_empty(self) -> None:
        """Make sure that nothing is where the cell is to be. Raises CellNotEmpty."""
        async with connected(self._client, self._keys["meta"]) as connection:
            if await connection.ask("EXISTS", *self._live()):
                raise CellNotEmpty(self._keys.cell)

    async def clear(self) -> None:
        """Remove what is where the cell is to be."""
        async with connected(self._client, self._keys["meta"]) as connection:
            await connection.ask("UNLINK", *self._live())

    async def take_its_place(self) -> None:
        """Put the staged cell where it is to be, in one transaction; the place must be empty.

        Raises:
            CellNotEmpty: it is not. CellChanged: somebody began a cell there at this moment. CopyLost: what was staged is gone.
        """
        async with connected(self._client, self._keys["meta"]) as connection:
            await connection.ask("WATCH", *self._live(), *(self._staged[part] for part in KEY_KINDS))
            if await connection.ask("EXISTS", *self._live()):
                raise CellNotEmpty(self._keys.cell)
            there = await connection.ask_all([("EXISTS", self._staged[part]) for part in KEY_KINDS])
            parts = [part for part, is_there in zip(KEY_KINDS, there, strict=True) if is_there]
            if "meta" not in parts:
                raise CopyLost(part="meta", found=0, wanted=1)
            moves: list[Command] = [("PERSIST", self._staged[part]) for part in parts]
            moves += [("RENAME", self._staged[part], self._keys[part]) for part in parts]
            try:
                await connection.all_or_none(moves)
            except Aborted as exc:
                raise CellChanged(self._keys.cell) from exc

    def _live(self) -> list[bytes]:
        return [self._keys[part] for part in KEY_KINDS]

    async def _opened(self, cell: Cell, limits: CellLimits, *, number: int) -> OpenReply:
        # No server has this name, so whoever opens the cell next is on another one, and raises the epoch once more.
        request = {"clock": "live", "server": f"restore-{self._id}-{number}", "limits": limits, "configure": False}
        return await cell.call("open_cell", request, OpenReply)

    async def _machines(self) -> list[str]:
        async with connected(self._client, self._keys["meta"]) as connection:
            found: set[bytes] = set()
            cursor = b"0"
            while True:
                cursor, flat = await connection.ask("HSCAN", self._staged["machines"], cursor, "COUNT", _MACHINES)
                found.update(flat[::2])
                if cursor == b"0":
                    return sorted(name.decode() for name in found)

    def _commands(self, frame: Frame) -> Iterator[Command]:
        part, items = frame.part, frame.items
        if part == STREAM_STATE:
            yield from self._stream_state(items)
            return
        key = self._staged[part]
        match KEY_KINDS[part]:
            case "hash":
                yield ("HSET", key, *items)
            case "zset":
                yield ("ZADD", key, *(word for at in range(0, len(items), 2) for word in (items[at + 1], items[at])))
            case "stream":
                for at in range(0, len(items), 2):
                    fields: list[bytes] = msgspec.msgpack.decode(items[at + 1], type=list[bytes])
                    yield ("XADD", key, items[at], *fields)

    def _stream_state(self, items: Sequence[bytes]) -> Iterator[Command]:
        """Where the stream stands, also when there is nothing in it; then a group that goes again makes the key."""
        key, (latest, added, removed) = self._staged["events"], items
        yield ("XGROUP", "CREATE", key, "making", "$", "MKSTREAM")
        yield ("XGROUP", "DESTROY", key, "making")
        yield ("XSETID", key, latest, "ENTRIESADDED", added, "MAXDELETEDID", removed)

    async def _renew(self, connection: CellConnection, *, at_once: bool = False) -> None:
        if at_once or time.monotonic() - self._renewed > _RENEW_EVERY_S:
            self._renewed = time.monotonic()
            await connection.ask_all([("PEXPIRE", self._staged[part], LAPSE_MS) for part in KEY_KINDS])

    async def drop(self) -> None:
        """Remove what is staged, if it is still there."""
        with contextlib.suppress(Unavailable):  # then it lapses
            await drop(self._client, self._staged)


@asynccontextmanager
async def staged(client: ValkeyClient, keys: CellKeys, *, restore_id: str) -> AsyncIterator[StagedCell]:
    """A cell beside the place of `keys`, until the block ends; `restore_id` is nobody else's."""
    cell = StagedCell(client, keys, restore_id=restore_id)
    try:
        yield cell
    finally:
        await cell.drop()


def _in_bounds(commands: Iterator[Command]) -> Iterator[list[Any]]:
    held: list[Command] = []
    for command in commands:
        held.append(command)
        if len(held) == _AT_ONCE:
            yield held
            held = []
    if held:
        yield held
