"""The files that a graph reads: taken from the payload or from an address, bounded, and never from inside the network."""

from __future__ import annotations

import base64
import binascii
import socket
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urljoin

import aiohttp
from yarl import URL

from northstar.connectors.contract import Json
from northstar.connectors.errors import EngineRejected, InputUnavailable
from northstar.domain.amounts import exactly
from northstar.policy.models.addresses import is_private

_REDIRECTS: Final = 3
_CHUNK_BYTES: Final = 256 * 1024


class InputSource:
    """Fetches inputs for one service.

    Addresses come from whoever submits jobs, so only public ones are fetched; `hosts` (host or host:port) are allowed as
    well, such as an asset store in the same network. Each wait is at most `answer_s` seconds, each file `max_bytes`.
    """

    def __init__(self, *, service: str, hosts: frozenset[str], max_bytes: int, answer_s: float) -> None:
        self._service = service
        self._hosts = hosts
        self._max_bytes = max_bytes
        self._answer_s = answer_s

    async def read(self, name: str, description: Mapping[str, Json]) -> bytes:
        """The bytes of input `name`.

        Raises:
            EngineRejected: what the payload says cannot be used, or its address says no.
            InputUnavailable: the address does not answer.
        """
        if "data" in description:
            data = self._decoded(name, description["data"])
        elif isinstance(url := description["url"], str) and url.startswith("data:"):
            data = self._decoded(name, url.partition(";base64,")[2])
        elif isinstance(url, str):
            data = await self._fetched(name, url)
        else:
            raise self._rejected(name, "has a `url` that is no text")
        if not data:
            raise self._rejected(name, "is empty")
        return data

    def _decoded(self, name: str, text: Json) -> bytes:
        if not isinstance(text, str):
            raise self._rejected(name, "has `data` that is no text in base64")
        if len(text) * 3 // 4 > self._max_bytes + 2:
            raise self._too_large(name)
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            raise self._rejected(name, f"is no base64: {error}") from error

    async def _fetched(self, name: str, url: str) -> bytes:
        sockets = _PublicSockets()
        try:
            async with aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(socket_factory=sockets, use_dns_cache=False, force_close=True),
                timeout=aiohttp.ClientTimeout(total=None, connect=self._answer_s, sock_read=self._answer_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
            ) as session:
                for _ in range(_REDIRECTS + 1):
                    address = URL(url)
                    sockets.may_be_private = self._is_trusted(name, address)
                    async with session.get(address, allow_redirects=False) as response:
                        if not 300 <= response.status < 400:
                            return await self._body(name, response)
                        url = urljoin(url, response.headers.get("Location", ""))
        except TimeoutError as error:
            raise self._unavailable(name, f"no answer within {self._answer_s:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if sockets.refused:
                raise self._rejected(name, _not_public(sockets.refused)) from error
            raise self._unavailable(name, type(error).__name__) from error
        raise self._rejected(name, f"is redirected more than {_REDIRECTS} times")

    def _is_trusted(self, name: str, address: URL) -> bool:
        """Whether the operator allows the host of an address, wherever that lies."""
        host = address.host or ""
        if address.scheme not in {"http", "https"} or not host:
            raise self._rejected(name, "has a `url` that is not http, https or data")
        place = f"[{host}]" if ":" in host else host
        return host in self._hosts or f"{place}:{address.port}" in self._hosts

    async def _body(self, name: str, response: aiohttp.ClientResponse) -> bytes:
        if response.status != 200:
            if response.status >= 500 or response.status == 429:
                raise self._unavailable(name, f"its address answers {response.status}")
            raise self._rejected(name, f"is not at its address, which answers {response.status}")
        data = bytearray()
        while chunk := await response.content.read(_CHUNK_BYTES):
            data += chunk
            if len(data) > self._max_bytes:
                raise self._too_large(name)
        return bytes(data)

    def _unavailable(self, name: str, reason: str) -> InputUnavailable:
        return InputUnavailable(name, reason=reason, service=self._service)

    def _rejected(self, name: str, why: str) -> EngineRejected:
        return EngineRejected(f"input {name!r} {why}", service=self._service)

    def _too_large(self, name: str) -> EngineRejected:
        return self._rejected(name, f"is larger than {exactly(self._max_bytes)}")


def _not_public(address: str) -> str:
    return f"lies at {address}, which is not public; its operator can allow it with input_hosts"


class _PublicSockets:
    """Makes the sockets of connections. Each is told the very address that it is for, in whatever spelling that was asked for.

    A check of the host's text alone would miss what the client makes of it: full-width digits are an IP address to it.
    """

    def __init__(self) -> None:
        self.may_be_private = False
        #: The last address to which no socket was made.
        self.refused = ""

    def __call__(self, info: Any) -> socket.socket:
        family, kind, protocol, _, address = info
        if not self.may_be_private and is_private(str(address[0])):
            self.refused = str(address[0])
            raise OSError(_not_public(self.refused))
        return socket.socket(family=family, type=kind, proto=protocol)
