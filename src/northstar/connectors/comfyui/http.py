"""HTTP to a ComfyUI server: every call bounded in time and size, every fault with its class."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import aiohttp
import msgspec

from northstar.connectors.comfyui.answers import refusal
from northstar.connectors.comfyui.rules import ComfyBounds, ComfyPatience
from northstar.connectors.connection_words import connection_words
from northstar.connectors.contract import Json
from northstar.connectors.errors import EngineGone, EngineTimeout, MalformedAnswer
from northstar.connectors.secret import Secret

T = TypeVar("T")

#: What an `EngineTimeout` says was awaited when nobody so much as took the connection.
CONNECTION: Final = "connection"
_CHUNK_BYTES: Final = 256 * 1024
_REFUSAL_BYTES: Final = 256 * 1024
_CONNECTIONS: Final = 64
#: Seconds between two signs of life that the socket itself exchanges; half of it without an answer is a lost socket.
_HEARTBEAT_S: Final = 30.0


class ComfyHttp:
    """Connections to one base address."""

    def __init__(
        self,
        base_url: str,
        *,
        service: str,
        patience: ComfyPatience,
        bounds: ComfyBounds,
        api_key: Secret | None = None,
    ) -> None:
        """`base_url` is http(s)://host[:port][/path].

        Raises:
            ValueError: the address is of another kind, or carries a user, a query or a fragment.
        """
        self.service = service
        self.patience = patience
        self.bounds = bounds
        self._base_url = _checked_base(base_url)
        self._api_key = api_key
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"ComfyHttp({self._base_url!r})"

    async def close(self) -> None:
        """Close all connections. May be called twice."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def ask(self, method: str, path: str, kind: type[T], **request: Any) -> T:
        """Make a call whose answer is JSON of `kind`.

        Raises:
            EngineError: the server is gone or silent, refuses, or answers something else.
        """
        async with self.opened(method, path, **request) as response, asyncio.timeout(self.patience.answer_s):
            return await self.decoded(response, path, kind)

    async def tell(self, path: str, body: Mapping[str, Json]) -> None:
        """Make a call whose answer says nothing but that it was heard."""
        async with self.opened("POST", path, json=body) as response, asyncio.timeout(self.patience.answer_s):
            await self.check(response, path)

    @asynccontextmanager
    async def opened(self, method: str, path: str, **request: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer whose head has come. Reading its body is the caller's, who bounds each wait."""
        if "json" in request:
            request["data"] = msgspec.json.encode(request.pop("json"))
            request["headers"] = {"Content-Type": "application/json"}
        async with self._faults_named(f"{method} {path}"):
            async with asyncio.timeout(self.patience.answer_s):
                # No redirects: a key must not travel to another host.
                response = await self._open_session().request(
                    method, self._base_url + path, allow_redirects=False, **request
                )
            try:
                yield response
            finally:
                response.close()

    @asynccontextmanager
    async def socket(self, client_id: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """The server's events for `client_id`.

        Raises:
            EngineGone, EngineTimeout, MalformedAnswer: it cannot be opened.
        """
        async with self._faults_named("GET /ws"), asyncio.timeout(self.patience.answer_s):
            socket = await self._open_session().ws_connect(
                f"{self._base_url}/ws",
                params={"clientId": client_id},
                max_msg_size=self.bounds.frame_bytes,
                heartbeat=_HEARTBEAT_S,
                timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
            )
        try:
            yield socket
        finally:
            await socket.close()

    async def decoded(self, response: aiohttp.ClientResponse, path: str, kind: type[T]) -> T:
        """The whole body as `kind`.

        Raises:
            EngineError: the status is not 200, or the body is too long or something else.
        """
        await self.check(response, path)
        limit = self.bounds.answer_bytes
        body = await _bounded(response, limit + 1)
        if len(body) > limit:
            raise MalformedAnswer(f"the answer to {path} is longer than {limit} bytes", service=self.service)
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.MsgspecError as error:
            raise MalformedAnswer(f"the answer to {path}: {error}", service=self.service) from error

    async def check(self, response: aiohttp.ClientResponse, path: str) -> None:
        """Return if the status is 200.

        Raises:
            EngineError: it is another, and what the server says about it.
        """
        if response.status != 200:
            body = await _bounded(response, _REFUSAL_BYTES)
            raise refusal(response.status, body, what=path, service=self.service)

    @asynccontextmanager
    async def _faults_named(self, what: str) -> AsyncIterator[None]:
        try:
            yield
        except aiohttp.ConnectionTimeoutError as error:
            raise EngineTimeout(CONNECTION, service=self.service, limit_s=self.patience.connect_s) from error
        except TimeoutError as error:
            raise EngineTimeout(f"answer to {what}", service=self.service, limit_s=self.patience.answer_s) from error
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError) as error:
            raise EngineGone(connection_words(error), service=self.service) from error
        except aiohttp.ClientError as error:
            raise MalformedAnswer(connection_words(error), service=self.service) from error

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            headers = {} if self._api_key is None else {"Authorization": f"Bearer {self._api_key.reveal()}"}
            self._session = aiohttp.ClientSession(
                # A fresh connection for each call cannot be closed under a request by a server that tidies up.
                connector=aiohttp.TCPConnector(force_close=True, limit=_CONNECTIONS),
                timeout=aiohttp.ClientTimeout(total=None, connect=self.patience.connect_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=headers,
                trust_env=False,
            )
        return self._session


def _checked_base(base_url: str) -> str:
    parts = urlsplit(base_url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"the engine's address must be http(s)://host[:port], not one of scheme {parts.scheme!r}")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("the engine's address must carry no user, query or fragment; give the key as a Secret")
    return base_url.rstrip("/")


async def _bounded(response: aiohttp.ClientResponse, limit: int) -> bytes:
    body = bytearray()
    while len(body) < limit and (chunk := await response.content.read(min(_CHUNK_BYTES, limit - len(body)))):
        body += chunk
    return bytes(body)
