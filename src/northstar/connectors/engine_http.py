"""The connection to an engine that speaks HTTP: bounded, without redirects, every failure an `EngineError`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import msgspec

from northstar.connectors.connection_words import connection_words
from northstar.connectors.contract import Json
from northstar.connectors.errors import EngineError, EngineGone, EngineTimeout, MalformedAnswer, OutputTooLarge
from northstar.connectors.secret import Secret
from northstar.connectors.stated_error import AskedModel, stated_error, states_error

_ERROR_BODY_BYTES: Final = 64 * 1024
_CONNECTIONS: Final = 256
_LONGEST_WISH_S: Final = 3_600.0


class EngineHttp:
    """Requests to one engine. A response is closed, never reused: an unfinished answer must end at the engine too."""

    def __init__(self, base_url: str, *, service: str, api_key: Secret | None = None, connect_s: float = 5.0) -> None:
        """`base_url` is http(s)://host[:port][/path].

        Raises:
            ValueError: the address is of another kind, or carries a user, a query or a fragment.
        """
        self.base_url = _checked_base(base_url)
        self._service = service
        self._api_key = api_key
        self._connect_s = connect_s
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def posted(
        self, path: str, body: Mapping[str, Json], *, accept: str = "application/json"
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Post JSON to the engine; gives the response whatever its status is.

        Raises:
            EngineGone, EngineTimeout, MalformedAnswer: while connecting, or while the caller reads.
        """
        headers = {"Accept": accept, "Content-Type": "application/json"} | self._key()
        data = msgspec.json.encode(body)
        async with self._asked("POST", self.base_url + path, headers=headers, data=data) as response:
            yield response

    @asynccontextmanager
    async def got(self, path: str) -> AsyncIterator[aiohttp.ClientResponse]:
        """Get a path of the engine; as `posted`."""
        async with self._asked("GET", self.base_url + path, headers=self._key(), data=None) as response:
            yield response

    @asynccontextmanager
    async def got_from(self, url: str) -> AsyncIterator[aiohttp.ClientResponse]:
        """Get a whole address; the key travels only to the engine's own host."""
        headers = self._key() if origin_of(url) == origin_of(self.base_url) else {}
        async with self._asked("GET", url, headers=headers, data=None) as response:
            yield response

    async def body_of(self, response: aiohttp.ClientResponse, *, what: str, max_bytes: int) -> bytes:
        """The whole body.

        Raises:
            OutputTooLarge: it has more than `max_bytes`; no more than that is ever held.
        """
        body = bytearray()
        while chunk := await response.content.readany():
            body += chunk
            if len(body) > max_bytes:
                raise OutputTooLarge(what, service=self._service, limit_bytes=max_bytes)
        return bytes(body)

    async def refusal_of(
        self, response: aiohttp.ClientResponse, *, expected: str, model: AskedModel | None = None
    ) -> EngineError | None:
        """Why this response is not an answer of content type `expected`; None if its head says that it is one."""
        if response.status == 200 and response.content_type == expected:
            return None  # an error may still hide in the body; whoever decodes it looks
        body = (await _beginning(response)).decode(errors="replace")
        if response.status != 200 or states_error(body):
            wish_s = _retry_after_s(response.headers)
            return stated_error(body, status=response.status, service=self._service, retry_after_s=wish_s, model=model)
        return MalformedAnswer(f"content type {response.content_type!r} instead of {expected}", service=self._service)

    async def close(self) -> None:
        """Close all connections. May be called twice."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _key(self) -> dict[str, str]:
        return {} if self._api_key is None else {"Authorization": f"Bearer {self._api_key.reveal()}"}

    @asynccontextmanager
    async def _asked(
        self, method: str, url: str, *, headers: Mapping[str, str], data: bytes | None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            response = await self._open_session().request(
                method,
                url,
                data=data,
                headers=headers,
                allow_redirects=False,  # a key must not travel to another host
            )
            try:
                yield response
            finally:
                response.close()
        except aiohttp.ConnectionTimeoutError as error:
            raise EngineTimeout("connection", service=self._service, limit_s=self._connect_s) from error
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError) as error:
            raise EngineGone(connection_words(error), service=self._service) from error
        except aiohttp.ClientError as error:
            raise MalformedAnswer(connection_words(error), service=self._service) from error

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # Engines close idle connections as they like; a fresh one per job cannot be closed under a request.
                connector=aiohttp.TCPConnector(force_close=True, limit=_CONNECTIONS),
                timeout=aiohttp.ClientTimeout(total=None, connect=self._connect_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            )
        return self._session


def origin_of(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port of an address."""
    parts = urlsplit(url)
    port = parts.port if parts.port is not None else {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname or "", port


def _checked_base(base_url: str) -> str:
    parts = urlsplit(base_url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"the engine's address must be http(s)://host[:port], not one of scheme {parts.scheme!r}")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("the engine's address must carry no user, query or fragment; give the key as a Secret")
    return base_url.rstrip("/")


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    while len(body) < _ERROR_BODY_BYTES and (chunk := await response.content.read(_ERROR_BODY_BYTES - len(body))):
        body += chunk
    return bytes(body)


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """The engine's wish in seconds. A date is measured by the engine's own clock, its `Date`, never by ours."""
    wish = headers.get("Retry-After", "")
    if wish.isascii() and wish.isdigit():
        return min(float(wish), _LONGEST_WISH_S)
    until, now = _date(wish), _date(headers.get("Date", ""))
    if until is None or now is None or (until.tzinfo is None) != (now.tzinfo is None):
        return None
    return min(max((until - now).total_seconds(), 0.0), _LONGEST_WISH_S)


def _date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
