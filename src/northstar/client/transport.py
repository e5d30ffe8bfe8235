"""Calls to one server: the key is shown, what may be repeated is, and what comes back is a type or a typed error."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncGenerator, Mapping
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import msgspec

from northstar.client.errors import (
    AnswerUnreadable,
    ClientNotConfigured,
    Problem,
    ProblemBody,
    ServerUnavailable,
    problem_of,
)
from northstar.client.patience import Patience

Told = TypeVar("Told")

URL_VARIABLE: Final = "NORTHSTAR_API_URL"
KEY_VARIABLE: Final = "NORTHSTAR_API_KEY"
#: Bytes of one answer that is read as a whole.
_MAX_ANSWER_BYTES: Final = 64 * 1024**2
_CONNECT_S: Final = 10.0


class Transport:
    """One server and one key. Open it by `async with`; the repr hides the key."""

    def __init__(self, url: str | None, key: str | None, *, patience: Patience, timeout_s: float) -> None:
        """Raises ClientNotConfigured: neither the arguments nor the environment say where, or with which key."""
        self.url = _address(url or os.environ.get(URL_VARIABLE, ""))
        self._key = key or os.environ.get(KEY_VARIABLE, "")
        if not self._key:
            raise ClientNotConfigured("no key is known", variable=KEY_VARIABLE)
        self.patience = patience
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=_CONNECT_S)
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"Transport({self.url!r})"

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {self._key}"}, timeout=self._timeout, proxy=_proxy(self.url)
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def call(
        self,
        method: str,
        path: str,
        kind: type[Told],
        *,
        body: Any = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        may_repeat: bool = True,
        timeout_s: float | None = None,
    ) -> Told:
        """Ask, and read the answer as `kind`.

        A call that `may_repeat` is repeated after an answer that says so, and when the server cannot be reached; one that may not is
        repeated only while it has not arrived.

        Raises:
            Problem: the server refused. ServerUnavailable: it was not reached. AnswerUnreadable: it is no North Star server.
        """
        clock = asyncio.get_running_loop()
        began_s, tries = clock.time(), 0
        while True:
            tries += 1
            asked_s = None
            try:
                return await self._once(
                    method, path, kind, body=body, query=query, headers=headers, timeout_s=timeout_s
                )
            except Problem as exc:
                if not (may_repeat and exc.may_be_repeated):
                    raise
                failure: Exception = exc
                asked_s = exc.retry_after_s
            except (aiohttp.ClientError, TimeoutError, OSError) as exc:
                arrived = not isinstance(exc, aiohttp.ClientConnectorError)
                if arrived and not may_repeat:
                    raise ServerUnavailable(self.url, reason=_words(exc), tries=tries) from exc
                failure = exc
            pause_s = self.patience.pause_s(
                tries,
                passed_s=clock.time() - began_s,
                jitter=random.random(),
                asked_s=asked_s,
            )
            if pause_s is None:
                if isinstance(failure, Problem):
                    raise failure
                raise ServerUnavailable(self.url, reason=_words(failure), tries=tries) from failure
            await asyncio.sleep(pause_s)

    async def stream(
        self, path: str, *, headers: Mapping[str, str] | None = None, silence_s: float | None = None
    ) -> AsyncGenerator[bytes, None]:
        """An answer in parts as it comes; at most `silence_s` pass between two of them. Close it by `aclosing`.

        Raises:
            Problem: the server refused. ServerUnavailable: it was not reached, or broke off.
        """
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=silence_s)
        try:
            async with self._opened_session().get(
                self.url + path, headers=headers, timeout=timeout, allow_redirects=False
            ) as answer:
                if answer.status >= 300:
                    raise await _problem(answer, self.url)
                async for chunk in answer.content.iter_any():
                    yield chunk
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            raise ServerUnavailable(self.url, reason=_words(exc), tries=1) from exc

    async def _once(
        self,
        method: str,
        path: str,
        kind: type[Told],
        *,
        body: Any,
        query: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        timeout_s: float | None,
    ) -> Told:
        data = None if body is None else msgspec.json.encode(body)
        sent = dict(headers or {}) | ({} if data is None else {"Content-Type": "application/json"})
        timeout = (
            self._timeout if timeout_s is None else aiohttp.ClientTimeout(total=timeout_s, sock_connect=_CONNECT_S)
        )
        asking = self._opened_session().request(
            method, self.url + path, data=data, params=query, headers=sent, timeout=timeout, allow_redirects=False
        )
        async with asking as answer:
            if answer.status >= 300:
                raise await _problem(answer, self.url)
            text = await _read(answer, self.url)
        try:
            return msgspec.json.decode(text, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
            raise AnswerUnreadable(self.url, reason=str(exc)[:200]) from exc

    def _opened_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("the client is not open: use it by `with` or `async with`")
        return self._session


async def _read(answer: aiohttp.ClientResponse, url: str) -> bytes:
    text = await answer.content.read(_MAX_ANSWER_BYTES)
    while len(text) <= _MAX_ANSWER_BYTES and (more := await answer.content.read(_MAX_ANSWER_BYTES)):
        text += more
    if len(text) > _MAX_ANSWER_BYTES:
        raise AnswerUnreadable(url, reason=f"it has more than {_MAX_ANSWER_BYTES} bytes")
    return text


async def _problem(answer: aiohttp.ClientResponse, url: str) -> Problem | AnswerUnreadable:
    """What the server says is wrong; of a proxy that does not speak so, the status stands for it."""
    text = await _read(answer, url)
    try:
        body = msgspec.json.decode(text, type=ProblemBody)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        if answer.status not in {429, 502, 503, 504}:
            return AnswerUnreadable(url, reason=f"status {answer.status} without a problem that can be read")
        body = ProblemBody(
            title=f"HTTP_{answer.status}", status=answer.status, detail="a proxy answered", retryable=True
        )
    return problem_of(body, retry_after_s=_seconds(answer.headers.get("Retry-After")))


def _seconds(text: str | None) -> float | None:
    """Of a header `Retry-After`; a date says nothing here."""
    return float(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 7 else None


def _address(url: str) -> str:
    if not url:
        raise ClientNotConfigured("no address of a server is known", variable=URL_VARIABLE)
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ClientNotConfigured(f"{url[:200]!r} is no http or https address", variable=URL_VARIABLE)
    return url.rstrip("/")


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for this server. Nothing else is taken from there: a key of another kind, least of all."""
    parts = urlsplit(url)
    if proxy_bypass(parts.hostname or ""):
        return None
    return getproxies().get(parts.scheme)


def _words(exc: Exception) -> str:
    return str(exc) or type(exc).__name__
