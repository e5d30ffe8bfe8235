"""Files by HTTP: ranges with If-Range, redirects one hop at a time, tokens only for the origin that they belong to."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
from yarl import URL

from northstar.agent.models.errors import ModelAddressPrivate
from northstar.agent.models.fetch_errors import (
    FetchStalled,
    FetchTruncated,
    SourceBusy,
    SourceDenied,
    SourceGone,
    SourceMissing,
    SourceRejected,
)
from northstar.agent.models.sources.contract import Body, Resume
from northstar.agent.models.sources.guard import GuardedResolver, PrivateHost, check_literal
from northstar.connectors.secret import Secret
from northstar.policy.models.addresses import Origin, next_hop, origin_of
from northstar.policy.models.pace import Patience
from northstar.policy.models.sources import HttpAddress

CHUNK_BYTES: Final = 1024 * 1024
_MAX_HOPS: Final = 8
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_RANGE: Final = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")
_DIGITS: Final = re.compile(r"\d{1,18}")


class HttpSources:
    """One client for all fetches of a store."""

    def __init__(self, *, patience: Patience, private_hosts: Collection[str], tokens: Mapping[Origin, Secret]) -> None:
        """`tokens` go as bearer tokens to exactly these origins; `private_hosts` may lie in private networks."""
        self.patience = patience
        self.private_hosts = private_hosts
        self.tokens = tokens
        self._session: aiohttp.ClientSession | None = None

    def at(self, address: HttpAddress, *, model: str) -> HttpSource:
        """The source of one file."""
        return HttpSource(self, address, model=model)

    @property
    def session(self) -> aiohttp.ClientSession:
        """Made at its first use, inside the running loop."""
        if self._session is None:
            connector = aiohttp.TCPConnector(resolver=GuardedResolver(self.private_hosts), use_dns_cache=False)
            timeout = aiohttp.ClientTimeout(
                total=None, sock_connect=self.patience.connect_s, sock_read=self.patience.stall_s
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=timeout,
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                read_bufsize=CHUNK_BYTES,
            )
        return self._session

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


class HttpSource:
    """One file at one address."""

    def __init__(self, client: HttpSources, address: HttpAddress, *, model: str) -> None:
        self._client = client
        self._address = address
        self._model = model
        self.shown = address.shown
        self.id = hashlib.sha256(address.url.encode()).hexdigest()

    @asynccontextmanager
    async def open(self, resume: Resume) -> AsyncIterator[Body]:
        """Ask for the file; see `Source`."""
        response = await self._ask(resume)
        if response.status == 416:  # what is here is longer than what is there, or the server's word for "another file"
            response.close()
            response = await self._ask(Resume())
        try:
            self._check_status(response)
            yield self._body(response, resume)
        finally:
            response.close()

    async def _ask(self, resume: Resume) -> aiohttp.ClientResponse:
        try:
            return await self._follow(resume)
        except PrivateHost as error:
            raise ModelAddressPrivate(self._model, host=error.host) from None
        except TimeoutError:
            # No `from`: a client's error holds its request, with address and headers.
            raise FetchStalled(model=self._model, source=self.shown, stall_s=self._client.patience.stall_s) from None
        except (aiohttp.InvalidURL, UnicodeError):
            raise SourceRejected("an address on the way is malformed", model=self._model, source=self.shown) from None
        except (aiohttp.ClientError, OSError) as error:
            raise self._gone(error) from None
        except ValueError as error:
            raise SourceRejected(str(error), model=self._model, source=self.shown) from None

    async def _follow(self, resume: Resume) -> aiohttp.ClientResponse:
        url = self._address.url
        has_secret = False
        for _ in range(_MAX_HOPS):
            check_literal(url, self._client.private_hosts)
            token = self._client.tokens.get(origin_of(url))
            has_secret = has_secret or token is not None
            headers = _headers(resume, token)
            response = await self._client.session.get(URL(url, encoded=True), headers=headers, allow_redirects=False)
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or location is None:
                return response
            response.close()
            url = next_hop(url, location, has_secret=has_secret)
        raise ValueError(f"it redirects more than {_MAX_HOPS} times")

    def _check_status(self, response: aiohttp.ClientResponse) -> None:
        status = response.status
        named = {"model": self._model, "source": self.shown}
        match status:
            case 200 | 206:
                if response.headers.get("Content-Encoding", "identity").lower() != "identity":
                    raise SourceRejected("the source sends a compressed form that nobody asked for", **named)
            case 404 | 410:
                raise SourceMissing(**named)
            case 401 | 403:
                raise SourceDenied(status=status, **named)
            case 429 | 503:
                raise SourceBusy(retry_after_s=_wish_s(response), **named)
            case _ if status >= 500 or status in {408, 425}:
                raise SourceGone(f"status {status}", **named)
            case _:
                raise SourceRejected(f"status {status}", **named)

    def _body(self, response: aiohttp.ClientResponse, resume: Resume) -> Body:
        length = response.headers.get("Content-Length", "")
        total = int(length) if _DIGITS.fullmatch(length) else None
        offset = 0
        if response.status == 206:
            offset, total = self._range(response, resume)
        return Body(self._chunks(response), offset=offset, total_bytes=total, validator=_validator(response))

    def _range(self, response: aiohttp.ClientResponse, resume: Resume) -> tuple[int, int]:
        found = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if found is None or int(found[1]) != resume.offset or int(found[2]) + 1 != int(found[3]):
            raise SourceRejected("its answer is not the range that was asked for", model=self._model, source=self.shown)
        return int(found[1]), int(found[3])

    async def _chunks(self, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        received = 0
        try:
            async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                received += len(chunk)
                yield chunk
        except TimeoutError:
            raise FetchStalled(model=self._model, source=self.shown, stall_s=self._client.patience.stall_s) from None
        except aiohttp.ClientPayloadError:
            raise FetchTruncated(
                model=self._model, source=self.shown, received_bytes=received, expected_bytes=response.content_length
            ) from None
        except (aiohttp.ClientError, OSError) as error:
            raise self._gone(error) from None

    def _gone(self, error: Exception) -> SourceGone:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        return SourceGone(reason, model=self._model, source=self.shown)


def _headers(resume: Resume, token: Secret | None) -> dict[str, str]:
    headers = {"Accept-Encoding": "identity", "User-Agent": "northstar"}
    if resume.offset:
        headers["Range"] = f"bytes={resume.offset}-"
        if resume.validator:
            headers["If-Range"] = resume.validator
    if token is not None:
        headers["Authorization"] = f"Bearer {token.reveal()}"
    return headers


def _validator(response: aiohttp.ClientResponse) -> str:
    """A strong tag, else the time of the last change; a weak tag says only that two versions mean the same."""
    tag = response.headers.get("ETag", "")
    if tag.startswith('"'):
        return tag
    return response.headers.get("Last-Modified", "")


def _wish_s(response: aiohttp.ClientResponse) -> float | None:
    wish = response.headers.get("Retry-After", "")
    return float(wish) if _DIGITS.fullmatch(wish) else None
