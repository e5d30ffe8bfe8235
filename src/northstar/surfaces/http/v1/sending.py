"""Answers that are sent piece by piece: each piece may take so long and no longer, and nothing goes on once the client is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from litestar import Response
from litestar.response.base import ASGIResponse

from northstar.domain.errors import NorthstarError
from northstar.telemetry import logger

if TYPE_CHECKING:
    from litestar.types import Receive, Scope, Send

log = logger(__name__)

#: Seconds in which a client must take a piece.
TAKE_WITHIN_S: Final = 30.0


class Piecewise(Response[Any]):
    """Sends what `pieces` gives. Where these end by an error, the answer is cut off, so that nobody takes it for whole."""

    def __init__(
        self,
        pieces: AsyncIterator[bytes],
        *,
        headers: Mapping[str, str],
        status_code: int = 200,
        within_s: float = TAKE_WITHIN_S,
    ) -> None:
        super().__init__(None, status_code=status_code)
        self._sending = _Sending(pieces, headers=headers, status_code=status_code, within_s=within_s)

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIResponse:
        """What sends it."""
        return self._sending


class _Sending(ASGIResponse):
    def __init__(
        self,
        pieces: AsyncIterator[bytes],
        *,
        headers: Mapping[str, str],
        status_code: int,
        within_s: float,
    ) -> None:
        super().__init__(status_code=status_code)
        self._pieces = pieces
        self._sent_headers = [
            (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()
        ]
        self._within_s = within_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Until all is sent, the client is gone, or it takes nothing more."""
        del scope
        sending = asyncio.create_task(self._send(send), name="pieces")
        leaving = asyncio.create_task(_gone(receive), name="pieces-client")
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in (sending, leaving):
                one.cancel()
            results = await asyncio.gather(sending, leaving, return_exceptions=True)
        match results[0]:
            case OSError() | TimeoutError():  # the client's own affair
                pass
            case NorthstarError() as error:
                log.warning("answer_cut_off", code=error.code, error=str(error))
            case Exception() as error:
                raise error

    async def _send(self, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self._sent_headers})
            async for piece in self._pieces:
                if piece:
                    async with asyncio.timeout(self._within_s):
                        await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            close = getattr(self._pieces, "aclose", None)
            if close is not None:
                await close()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
