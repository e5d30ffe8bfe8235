"""`/v1/live`: a WebSocket that tells what happens, to whoever shows a key that reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from litestar import WebSocket, websocket
from litestar.exceptions import WebSocketDisconnect

from northstar.broker.gateway.socket import FrameInvalid, SocketClosed
from northstar.surfaces.http.v1.live_greeting import Strangers
from northstar.surfaces.http.v1.live_talk import talk

if TYPE_CHECKING:
    from litestar.handlers import WebsocketRouteHandler

    from northstar.broker.api import Api
    from northstar.surfaces.http.callers import Door

LIVE_PATH: Final = "/v1/live"
#: Close codes of RFC 6455: all is well, against the rules, and come again later.
_NORMAL, _POLICY, _LATER = 1000, 1008, 1013


class _Texts:
    """The accepted WebSocket, of messages that are text."""

    def __init__(self, socket: WebSocket[Any, Any, Any]) -> None:
        self._socket = socket

    async def send(self, text: bytes) -> None:
        try:
            await self._socket.send_text(text)
        except (WebSocketDisconnect, RuntimeError, OSError) as exc:  # the server says the same in several ways
            raise SocketClosed from exc

    async def receive(self) -> str:
        try:
            return await self._socket.receive_text()
        except KeyError as exc:  # bytes where text belongs
            raise FrameInvalid("it is no text") from exc
        except (WebSocketDisconnect, RuntimeError, OSError) as exc:
            raise SocketClosed from exc


def live_routes(api: Api | None, door: Door) -> list[WebsocketRouteHandler]:
    """Where clients listen; nothing where a front serves machines alone. The key is asked for inside, since browsers cannot send it as a header."""
    if api is None:
        return []
    strangers = Strangers()

    @websocket(LIVE_PATH)
    async def live(socket: WebSocket[Any, Any, Any]) -> None:
        await socket.accept()
        kind, _, header = (socket.headers.get("authorization") or "").partition(" ")
        opened = door.opened_for(socket)
        error = await talk(
            _Texts(socket),
            api.live,
            header=header.strip() if kind.lower() == "bearer" else "",
            let_in=lambda text: opened.let_in(text, api.keys.authenticate),
            strangers=strangers,
        )
        code = _NORMAL if error is None else _LATER if error.retryable else _POLICY
        try:
            await socket.close(code=code, reason=None if error is None else error.code)
        except (WebSocketDisconnect, RuntimeError, OSError):
            return

    return [live]
