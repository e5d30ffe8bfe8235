"""The network between machines and brokers, as a TCP proxy on loopback that loses packets, forgets connections or ends them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

HOST = "127.0.0.1"
_PIECE_BYTES = 1 << 16


class _Link:
    """One connection through the cable. While it does not flow, not even the end of one side reaches the other."""

    def __init__(self, near: asyncio.StreamWriter) -> None:
        self.near = near
        self.far: asyncio.StreamWriter | None = None
        self.flows = asyncio.Event()
        self.forgotten = False

    def let_flow(self, flows: bool) -> None:
        if flows and not self.forgotten:
            self.flows.set()
        else:
            self.flows.clear()

    def abort(self) -> None:
        for writer in (self.near, self.far):
            if writer is not None:
                writer.transport.abort()


class Cable:
    """Machines dial `port`; each connection goes on to one of `targets`, in turn.

    While it is cut nothing passes either way, nothing is refused and nothing ends: what was sent arrives after the cut, as TCP
    sends again what was lost. Who dials into a cut reaches nobody; as nothing can be sent without a handshake here, that
    one is answered by this host.
    """

    def __init__(self, targets: list[int]) -> None:
        self.targets = targets
        self.port = 0
        #: Bytes that may still pass from machines to brokers before the cable cuts itself; None: any number.
        self.allowance: int | None = None
        #: Connections that machines have begun.
        self.dialled = 0
        self._whole = asyncio.Event()
        self._whole.set()
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def is_cut(self) -> bool:
        return not self._whole.is_set()

    def cut(self) -> None:
        """From here on every packet vanishes, both ways."""
        self._whole.clear()
        for link in self._links:
            link.let_flow(False)

    def mend(self) -> None:
        self.allowance = None
        self._whole.set()
        for link in self._links:
            link.let_flow(True)

    def forget(self) -> None:
        """As a router that was started again does: nothing passes on the connections of before, ever; new ones work."""
        for link in self._links:
            link.forgotten = True
            link.let_flow(False)

    def snap(self) -> None:
        """Every connection ends at once, for both sides."""
        for link in list(self._links):
            link.abort()

    def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Somebody dials."""
        task = asyncio.create_task(self._carry(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(writer)
        self._links.add(link)
        self.dialled += 1
        turn = self.dialled
        link.let_flow(not self.is_cut)
        try:
            await link.flows.wait()
            with contextlib.suppress(OSError):
                await self._connected(link, reader, self.targets[turn % len(self.targets)])
        finally:
            self._links.discard(link)
            link.abort()

    async def _connected(self, link: _Link, reader: asyncio.StreamReader, target: int) -> None:
        far_reader, link.far = await asyncio.open_connection(HOST, target)
        ways = [
            asyncio.ensure_future(self._pass(link, reader, link.far, counted=True)),
            asyncio.ensure_future(self._pass(link, far_reader, link.near, counted=False)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _pass(
        self, link: _Link, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, counted: bool
    ) -> None:
        while True:
            await link.flows.wait()
            piece = await source.read(_PIECE_BYTES)
            # It may have been under way when the cable was cut.
            await link.flows.wait()
            if not piece:
                return
            if counted and self.allowance is not None:
                self.allowance -= len(piece)
            sink.write(piece)
            await sink.drain()
            if self.allowance is not None and self.allowance <= 0:
                self.cut()

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def cable(*targets: int) -> AsyncIterator[Cable]:
    """A whole cable to brokers on these ports."""
    laid = Cable(list(targets))
    server = await asyncio.start_server(laid.carry, HOST, 0)
    laid.port = server.sockets[0].getsockname()[1]
    try:
        yield laid
    finally:
        server.close()
        await laid.end()
