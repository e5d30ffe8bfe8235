"""Connections as uvicorn has them, with bounds that it has not: it lets a socket that asks nothing stay for ever, and takes as many as come.

A connection has so long to ask something, from the moment when it is made or was answered last; what comes meanwhile, drop by drop, does
not prolong it. The head of a request has a bound in bytes, whichever parser reads it.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, ClassVar, Final

from uvicorn.protocols.http.h11_impl import H11Protocol

from northstar.domain.errors import InvalidRequest, NorthstarError
from northstar.surfaces.http.crowd import Crowd, TooManyClients
from northstar.surfaces.http.problems import MEDIA_TYPE, problem_of, status_of

#: Bytes of the head of a request: its line and its headers.
MAX_HEAD_BYTES: Final = 65_536


class HeadTooLarge(InvalidRequest):
    """The line and the headers of a request are too long."""

    code: ClassVar[str] = "NS_HEAD_TOO_LARGE"

    def __init__(self) -> None:
        super().__init__(
            f"the head of a request has at most {MAX_HEAD_BYTES:,} bytes; send less in its address and headers"
        )


class RequestUnreadable(InvalidRequest):
    """What came is no request of HTTP/1.1."""

    code: ClassVar[str] = "NS_REQUEST_UNREADABLE"

    def __init__(self) -> None:
        super().__init__("what came is no request of HTTP/1.1; is this the right port, with or without TLS?")


class BoundedConnection(asyncio.Protocol):
    """The bounds of one connection; goes before one of uvicorn's protocols among the bases of a class."""

    crowd: Crowd
    # Of uvicorn's.
    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop
    cycle: Any

    _last_moment: asyncio.TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take it in, or send it away."""
        super().connection_made(transport)
        if self.crowd.comes(self):
            self._wait()
        else:
            self._refuse(TooManyClients())

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._stop_waiting()
        self.crowd.leaves(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Pass it on, and look whether it makes a request."""
        if self._is_asking():
            super().data_received(data)
            return
        room = MAX_HEAD_BYTES - self._head_bytes
        super().data_received(data[:room])
        self._look()
        rest = data[room:]
        if self._is_asking():
            if rest:
                super().data_received(rest)
            return
        self._head_bytes += min(room, len(data))
        if rest and not self.transport.is_closing():
            self._refuse(HeadTooLarge())

    def handle_websocket_upgrade(self, *event: Any) -> None:
        """From here on others bound it."""
        self._stop_waiting()
        self.crowd.leaves(self)
        super().handle_websocket_upgrade(*event)  # type: ignore[misc]

    def on_response_complete(self) -> None:
        """Its time to ask anew begins, unless it has asked already."""
        self.crowd.rests(self)
        self._wait()
        super().on_response_complete()  # type: ignore[misc]
        self._look()

    def send_400_response(self, _words: str) -> None:
        """What came cannot be read; where an answer is under way, nothing can be said of it."""
        if self._is_asking():
            self.transport.abort()
        elif not self.transport.is_closing():
            self._refuse(RequestUnreadable())

    def put_out(self) -> None:
        """End a connection that has asked nothing."""
        self._stop_waiting()
        self.transport.abort()

    def _is_asking(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _look(self) -> None:
        if self._is_asking():
            self._head_bytes = 0
            self._stop_waiting()
            self.crowd.asks(self)

    def _wait(self) -> None:
        self._stop_waiting()
        if not self.transport.is_closing():
            self._last_moment = self.loop.call_later(self.crowd.head_within_s, self.put_out)

    def _stop_waiting(self) -> None:
        if self._last_moment is not None:
            self._last_moment.cancel()
            self._last_moment = None

    def _refuse(self, error: NorthstarError) -> None:
        self.transport.write(_answer(error))
        self.transport.close()


def _answer(error: NorthstarError) -> bytes:
    """What is said before there is a request that the application could answer."""
    told = problem_of(error)
    status = HTTPStatus(status_of(error))
    given = {
        **told.headers,
        "Content-Type": MEDIA_TYPE,
        "Content-Length": str(len(told.content)),
        "Connection": "close",
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"HTTP/1.1 {status.value} {status.phrase}\r\n{head}\r\n".encode() + told.content


def parser() -> type[asyncio.Protocol]:
    """The faster one of uvicorn's protocols that is installed."""
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol  # noqa: PLC0415 - an extra
    except ImportError:
        return H11Protocol
    return HttpToolsProtocol


def connections_of(crowd: Crowd) -> type[asyncio.Protocol]:
    """The protocol for uvicorn whose connections are of this crowd."""
    return type("ConnectionOfCrowd", (BoundedConnection, parser()), {"crowd": crowd})
