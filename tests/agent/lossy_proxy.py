"""A server's twin on a socket of its own that swallows answers: the call arrives, its answer never does."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit


class LossyProxy:
    """Forwards everything, except the first answer to each call named by `swallow`: that one cuts the connection."""

    def __init__(self, server_socket: str, url: str) -> None:
        self._server_socket = server_socket
        self._wanted: list[bytes] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = url
        self.swallowed: list[str] = []

    def swallow(self, *functions: str) -> None:
        """Cut the connection when the answer to the next call of each of these comes back from the server."""
        self._wanted += [f"_{function}\r\n".encode() for function in functions]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_unix_connection(self._server_socket)
        doomed: list[bytes] = []

        async def requests() -> None:
            while data := await reader.read(1 << 20):
                doomed.extend(name for name in self._wanted if name in data)
                server_writer.write(data)
                await server_writer.drain()

        async def answers() -> None:
            while data := await server_reader.read(1 << 20):
                if doomed:
                    self._wanted.remove(doomed[0])
                    self.swallowed.append(doomed[0].decode().strip().lstrip("_"))
                    return
                writer.write(data)
                await writer.drain()

        await self._until_one_ends(requests(), answers())
        for closing in (server_writer, writer):
            closing.close()
            with contextlib.suppress(OSError):
                await closing.wait_closed()

    async def _until_one_ends(self, *ways: object) -> None:
        tasks = [asyncio.ensure_future(way) for way in ways]  # type: ignore[call-overload]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def lossy(url: str) -> AsyncIterator[LossyProxy]:
    """A proxy before the server at `url`, which listens on a unix socket."""
    with tempfile.TemporaryDirectory(prefix="ns-lossy-") as folder:
        path = Path(folder) / "s"
        proxy = LossyProxy(urlsplit(url).path, f"unix://{path}")
        server = await asyncio.start_unix_server(proxy.serve, path)
        try:
            yield proxy
        finally:
            server.close()
