"""Who dials `/v1/live`: the key comes with the call, or as the first message, because browsers cannot set headers there."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

from northstar.broker.admission import TokenForeign
from northstar.broker.gateway.socket import FrameInvalid
from northstar.broker.stream_places import MOST_STRANGERS
from northstar.domain.api_keys import KeyMissing, KeyUnreadable, Scope
from northstar.domain.errors import Unavailable
from northstar.domain.tokens import TokenMalformed
from northstar.surfaces.http.v1 import live_frames as frames

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from typing import Protocol

    from northstar.domain.api_keys import Caller

    class TextSocket(Protocol):
        """An accepted connection, of messages that are text."""

        async def send(self, text: bytes) -> None:
            """Raises SocketClosed."""

        async def receive(self) -> str:
            """Raises SocketClosed, FrameInvalid."""


#: A client must say who it is within so many seconds.
HELLO_WITHIN_S: Final = 10.0
#: Letters of one message of a client.
_MOST_LETTERS: Final = 16_384


class Strangers:
    """Connections that have not said yet who they are: a bounded number."""

    def __init__(self, *, most: int = MOST_STRANGERS) -> None:
        self._most = most
        self._here = 0

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """One more until the block ends. Raises TooManyStrangers."""
        if self._here >= self._most:
            raise TooManyStrangers(self._most)
        self._here += 1
        try:
            yield
        finally:
            self._here -= 1


class TooManyStrangers(Unavailable):
    """Too many connections have not said who they are."""

    code: ClassVar[str] = "NS_TOO_MANY_STRANGERS"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"{limit} connections have not shown a key yet; show yours with the call, or come back in a moment"
        )


async def greeted(
    socket: TextSocket, header: str, let_in: Callable[[str], Awaitable[Caller]], strangers: Strangers
) -> tuple[str, Caller]:
    """The client's key, and who it is. Raises KeyMissing, KeyUnreadable, and what `let_in` raises."""
    key = header
    if not key:
        with strangers.waiting():
            try:
                async with asyncio.timeout(HELLO_WITHIN_S):
                    hello = read_frame(await socket.receive())
            except TimeoutError:
                raise KeyMissing from None
        if not isinstance(hello, frames.Hello):
            raise KeyMissing
        key = hello.key
    try:
        caller = await let_in(key)
    except (TokenMalformed, TokenForeign) as exc:
        raise KeyUnreadable(str(exc)) from exc
    caller.expect(Scope.READ)
    return key, caller


def read_frame(text: str) -> frames.FromClient:
    """Raises FrameInvalid."""
    if len(text) > _MOST_LETTERS:
        raise FrameInvalid(f"it is longer than {_MOST_LETTERS} letters")
    try:
        frame: frames.FromClient = frames.decode(text)
        return frame
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as exc:
        raise FrameInvalid(str(exc)[:300]) from exc
