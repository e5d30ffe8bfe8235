"""Bodies that come drop by drop, or never end: a bound in time, which the server below has none of."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar, Final

from litestar.enums import ScopeType

from northstar.domain.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar.types import ASGIApp, Receive, Scope, Send

#: In a route's `opt`: its body may be long, so only the pauses in it are bounded.
LONG_BODY: Final = "long_body"


class BodyTooSlow(InvalidRequest):
    """The body did not come in time."""

    code: ClassVar[str] = "NS_BODY_TOO_SLOW"
    retryable = True

    def __init__(self, within_s: float) -> None:
        super().__init__(
            f"the body did not come within {within_s:g} s; send it at once, or less of it (serve.body_within_s is the bound)"
        )


class BodyCutOff(InvalidRequest):
    """The connection ended before the body did."""

    code: ClassVar[str] = "NS_BODY_CUT_OFF"
    retryable = True

    def __init__(self) -> None:
        super().__init__("the connection ended before the body did; send it again")


class _Body:
    """The body of one request, as it comes."""

    def __init__(self, receive: Receive, *, within_s: float, pauses_only: bool) -> None:
        self._receive = receive
        self._within_s = within_s
        self._pauses_only = pauses_only
        self._left_s = within_s
        self._is_whole = False

    async def receive(self) -> Any:
        """Raises BodyTooSlow, BodyCutOff. Once the body is whole, one waits for the end of the connection as long as one likes."""
        if self._is_whole:
            return await self._receive()
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(self._left_s):
                event = await self._receive()
        except TimeoutError as exc:
            self._is_whole = True
            raise BodyTooSlow(self._within_s) from exc
        if not self._pauses_only:
            self._left_s = max(0.0, self._left_s - (loop.time() - began))
        if event["type"] == "http.disconnect":
            self._is_whole = True
            raise BodyCutOff
        self._is_whole = not event.get("more_body", False)
        return event


def bounded_bodies(within_s: float) -> Callable[[ASGIApp], ASGIApp]:
    """A middleware: a body comes within this time, or its request is refused; of a long one, each piece."""

    def around(app: ASGIApp) -> ASGIApp:
        async def bounded(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != ScopeType.HTTP:
                await app(scope, receive, send)
                return
            is_long = bool(scope["route_handler"].opt.get(LONG_BODY))
            body = _Body(receive, within_s=within_s, pauses_only=is_long)
            await app(scope, body.receive, send)

        return bounded

    return around
