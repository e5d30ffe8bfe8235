"""What machines dial: one WebSocket each, and a way in for the files that their jobs leave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from litestar import Request, WebSocket, put, websocket
from litestar.exceptions import WebSocketDisconnect
from litestar.params import FromPath, HeaderParameter, PathParameter

from northstar.broker.gateway.gateway import Gateway
from northstar.broker.gateway.outputs import Outputs
from northstar.broker.gateway.socket import SocketClosed
from northstar.domain.errors import Refused
from northstar.store.assets import AssetRef
from northstar.surfaces.http.slow_bodies import LONG_BODY

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler, WebsocketRouteHandler

    from northstar.surfaces.http.callers import Door

#: Where machines connect, and below what they put their outputs.
LINK_PATH = "/agent/v1/link"
OUTPUT_PATH = "/agent/v1/jobs/{job:str}/outputs/{name:path}"


class TokenMissing(Refused):
    """A machine dialled without saying who it is."""

    code = "NS_TOKEN_MISSING"

    def __init__(self) -> None:
        super().__init__("a machine's token is wanted, as `Authorization: Bearer TOKEN`")


class _Accepted:
    """The accepted WebSocket as the gateway sees it."""

    def __init__(self, socket: WebSocket[Any, Any, Any]) -> None:
        self._socket = socket
        self._closed = False

    async def send(self, frame: bytes) -> None:
        try:
            await self._socket.send_bytes(frame)
        except (WebSocketDisconnect, RuntimeError, OSError) as exc:  # the server says the same in several ways
            self._closed = True
            raise SocketClosed from exc

    async def receive(self) -> bytes:
        try:
            return await self._socket.receive_bytes()
        except (WebSocketDisconnect, KeyError, RuntimeError, OSError) as exc:  # KeyError: text where bytes belong
            self._closed = not isinstance(exc, KeyError)
            raise SocketClosed from exc

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        try:
            await self._socket.close()
        except (WebSocketDisconnect, RuntimeError, OSError):
            return


def bearer(header: str | None) -> str:
    """The token of an `Authorization` header. Raises TokenMissing."""
    kind, _, token = (header or "").partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise TokenMissing
    return token.strip()


def link_route(gateway: Gateway, door: Door) -> WebsocketRouteHandler:
    """Where machines connect: see `northstar.store.wire`."""

    @websocket(LINK_PATH)
    async def link(socket: WebSocket[Any, Any, Any]) -> None:
        await socket.accept()
        token = (socket.headers.get("authorization") or "").partition(" ")[2].strip()
        await gateway.serve_machine(_Accepted(socket), token, door.opened_for(socket))

    return link


def output_route(outputs: Outputs, door: Door) -> HTTPRouteHandler:
    """Where machines put the files that their jobs left."""

    @put(OUTPUT_PATH, status_code=201, opt={LONG_BODY: True})
    async def put_output(
        *,
        request: Request[Any, Any, Any],
        job: Annotated[str, PathParameter(max_length=128)],
        name: FromPath[str],
        lease: Annotated[str, HeaderParameter(name="X-Northstar-Lease", max_length=256)],
        sha256: Annotated[str, HeaderParameter(name="X-Northstar-Sha256", pattern=r"^[0-9a-f]{64}$")],
    ) -> AssetRef:
        token = bearer(request.headers.get("authorization"))
        admitted = await door.opened_for(request).authenticate(token)
        return await outputs.receive(
            request.stream(),
            machine=admitted.machine,
            job=job,
            lease=lease,
            name=name.lstrip("/"),
            media_type=request.headers.get("content-type") or "application/octet-stream",
            sha256=sha256,
        )

    return put_output
