"""The server under the application: uvicorn on a socket that listens already, as a part of a process that handles its own signals."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final

import uvicorn

from northstar.assembly.front import AppParts
from northstar.assembly.listening import TlsFilesUnusable
from northstar.config import ServeSettings
from northstar.store.wire import MAX_FRAME_BYTES
from northstar.surfaces.http.app import make_app
from northstar.surfaces.http.connections import MAX_HEAD_BYTES, connections_of
from northstar.surfaces.http.crowd import Crowd

#: Seconds that requests under way get at the end.
_LAST_REQUESTS_S: Final = 2


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the process's own to handle."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()


@asynccontextmanager
async def open_door(parts: AppParts, listening: socket.socket, wanted: ServeSettings) -> AsyncIterator[None]:
    """Serve the application until the block ends. Raises TlsFilesUnusable."""
    config = uvicorn.Config(
        make_app(parts),
        lifespan="off",
        http=connections_of(Crowd(most=wanted.max_clients, head_within_s=wanted.head_within_s)),
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        log_config=None,
        access_log=False,
        ws="websockets-sansio",
        ws_max_size=MAX_FRAME_BYTES,
        ws_ping_interval=wanted.ping_every_s,
        ws_ping_timeout=wanted.ping_timeout_s,
        ssl_certfile=wanted.tls_certificate or None,
        ssl_keyfile=wanted.tls_key or None,
        timeout_graceful_shutdown=_LAST_REQUESTS_S,
        server_header=False,
        # Whose word counts about the caller's address is a setting of ours.
        proxy_headers=False,
    )
    try:
        config.load()
    except OSError as exc:  # an ssl.SSLError is one
        raise TlsFilesUnusable(str(exc)) from exc
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]), name="front")
    listens = asyncio.create_task(server.listens.wait(), name="front-listens")
    try:
        await asyncio.wait({serving, listens}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
        yield
    finally:
        server.should_exit = True
        listens.cancel()
        await asyncio.wait({serving, listens})
