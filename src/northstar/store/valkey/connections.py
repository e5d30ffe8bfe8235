"""Connections that lose no cancellation.

Before Python 3.12, `asyncio.wait_for` swallows a cancellation that arrives in the moment in which what it waits for ends (bpo-42130),
and the client library sends every command inside one. A task that was cancelled in that moment went on for ever, so a process
that stopped could wait for it without end. Here the cancellation is found again and raised; the connection is given up, since the
answer to the command that was sent would be taken for that of the next.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from valkey.asyncio import Connection, SSLConnection, UnixDomainSocketConnection
from valkey.asyncio.sentinel import SentinelManagedConnection, SentinelManagedSSLConnection

if TYPE_CHECKING:
    from valkey.asyncio.connection import AbstractConnection as _Base
else:
    _Base = object


class _KeepsCancellation(_Base):
    """To be put before a connection class."""

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:  # noqa: FBT001, FBT002 -- as the base has it
        task = asyncio.current_task()
        before = task.cancelling() if task else 0
        await _raise_what_was_asked_for()
        await super().send_packed_command(command, check_health)
        if task is not None and task.cancelling() > before:
            await self.disconnect(nowait=True)
            raise asyncio.CancelledError

    async def can_read_destructive(self) -> bool:
        """As the base has it. What it asks within a timeout of nothing, whose end would be taken for the cancellation."""
        await _raise_what_was_asked_for()
        return bool(await super().can_read_destructive())  # type: ignore[no-untyped-call]


async def _raise_what_was_asked_for() -> None:
    """A signal may ask for a cancellation while the task itself is at work; it is raised where the task waits next: better here."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        await asyncio.sleep(0)


class TcpConnection(_KeepsCancellation, Connection):
    """Over TCP."""


class TlsConnection(_KeepsCancellation, SSLConnection):
    """Over TLS."""


class UnixConnection(_KeepsCancellation, UnixDomainSocketConnection):
    """Over a socket of this host."""


class SentinelTcpConnection(_KeepsCancellation, SentinelManagedConnection):
    """Over TCP, to the primary that Sentinel names."""


class SentinelTlsConnection(_KeepsCancellation, SentinelManagedSSLConnection):
    """Over TLS, to the primary that Sentinel names."""
