"""One connection to the server that holds a cell, for transactions and for many commands at a time; alike on one server and on a cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from valkey.asyncio.connection import AbstractConnection
from valkey.exceptions import ResponseError

from northstar.store.valkey import FAULTS, ValkeyClient, translate
from northstar.store.valkey.identity import connection_for

Command = Sequence[bytes | str | int]


class Aborted(Exception):
    """A watched key was changed, so the transaction did nothing."""


class CellConnection:
    """Commands in the order in which they are given. Every error is one of `store.errors`."""

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection

    @property
    def address(self) -> str:
        """Where the server is: `host:port`, or the path of its socket."""
        connection: Any = self._connection  # the library leaves this call untyped
        known: dict[str, Any] = dict(connection.repr_pieces())
        if known.get("path"):
            return str(known["path"])
        host = str(known.get("host", ""))
        return f"[{host}]:{known.get('port')}" if ":" in host else f"{host}:{known.get('port')}"

    async def ask(self, *command: bytes | str | int) -> Any:
        """One command and its answer."""
        return (await self.ask_all([command]))[0]

    async def ask_all(self, commands: Sequence[Command]) -> list[Any]:
        """Many commands in one go, and their answers. Those behind one that failed were carried out."""
        if not commands:
            return []
        try:
            await self._connection.send_packed_command(self._connection.pack_commands(commands))
            answers: list[Any] = []
            failed: ResponseError | None = None
            for _ in commands:
                try:
                    answers.append(await self._connection.read_response())
                except ResponseError as exc:
                    failed = failed or exc
        except FAULTS as exc:
            raise translate(exc) from exc
        if failed is not None:
            raise translate(failed) from failed
        return answers

    async def all_or_none(self, commands: Sequence[Command]) -> list[Any]:
        """The commands as one transaction, and their answers.

        Raises:
            Aborted: a watched key was changed; nothing was done.
            Unavailable: a command is refused, or the server does not answer; in the first case nothing was done.
        """
        answers = (await self.ask_all([("MULTI",), *commands, ("EXEC",)]))[-1]
        if answers is None:
            raise Aborted
        for answer in answers:
            if isinstance(answer, ResponseError):
                raise translate(answer) from answer
        return list(answers)


@asynccontextmanager
async def connected(client: ValkeyClient, key: bytes) -> AsyncIterator[CellConnection]:
    """A connection of its own to the server that holds `key`, until the block ends. Raises Unavailable."""
    try:
        connection = await connection_for(client, key)
    except FAULTS as exc:
        raise translate(exc) from exc
    try:
        yield CellConnection(connection)
    finally:
        await connection.disconnect()
