"""One attempt: a message is posted, and whatever comes back, or does not, becomes an answer within a bounded time and of bounded size."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult

from northstar import __version__
from northstar.policy.models.addresses import origin_of
from northstar.policy.webhooks.reach import may_reach, refusal_of
from northstar.policy.webhooks.schedule import retry_after_s

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from northstar.policy.admission.addresses import Network

#: Bytes of an answer that are read, and letters of it that are kept.
MAX_ANSWER_BYTES: Final = 4_096
MAX_ANSWER_LETTERS: Final = 512
_CONNECT_S: Final = 5.0


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an attempt. `error` is empty where the receiver has taken the message, else a word, with a sentence."""

    error: str = ""
    message: str = ""
    #: 0: it did not answer.
    status: int = 0
    text: str = ""
    took_ms: int = 0
    retry_after_s: float | None = None


class AddressRefused(OSError):
    """A receiver lies where webhooks may not reach."""


class _NameResolver(AbstractResolver):
    """Looks names up in threads of its own: a name server that hangs holds up no other part of the broker."""

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="webhook names")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM, family=family)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return [
            # With the scope of a link-local address left out: nothing there is reached unless it is allowed.
            ResolveResult(hostname=host, host=str(address[0]), port=port, family=kind, proto=protocol, flags=flags)
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


class _GuardedResolver(AbstractResolver):
    """Looks names up, and refuses a name of which any address may not be reached."""

    def __init__(self, check: Callable[[str], None], inner: AbstractResolver) -> None:
        self._check = check
        self._inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        for one in found:
            self._check(one["host"])
        return found

    async def close(self) -> None:
        await self._inner.close()


class Poster:
    """Posts messages; use it as a context. Every connection is a new one, to an address that was looked at when it was made.

    So neither a name that changes its mind, nor an address in whatever spelling, leads into a private network.
    """

    def __init__(
        self,
        *,
        allowed: Sequence[Network],
        timeout_s: float,
        monotonic: Callable[[], float],
        now_s: Callable[[], float],
        at_once: int = 64,
        resolver: Callable[[], AbstractResolver] | None = None,
    ) -> None:
        """`allowed` networks are reached although they are private; `at_once` attempts look a name up at the same time."""
        self._allowed = allowed
        self._timeout = aiohttp.ClientTimeout(
            total=timeout_s, connect=min(_CONNECT_S, timeout_s), sock_connect=min(_CONNECT_S, timeout_s)
        )
        self._monotonic = monotonic
        self._now_s = now_s
        self._resolver = resolver or (lambda: _NameResolver(at_once))
        self._stack = AsyncExitStack()
        self._sessions: dict[str, aiohttp.ClientSession] = {}

    async def __aenter__(self) -> Self:
        for scheme in ("http", "https"):
            session = aiohttp.ClientSession(
                connector=self._connector(encrypted=scheme == "https"),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=self._timeout,
                auto_decompress=False,
                headers={"User-Agent": f"northstar-webhooks/{__version__}", "Accept-Encoding": "identity"},
            )
            self._sessions[scheme] = await self._stack.enter_async_context(session)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._stack.aclose()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Post one message. What goes wrong is an answer too; nothing is raised but a cancellation."""
        began_s = self._monotonic()
        try:
            session = self._sessions[origin_of(url).scheme]
            async with session.post(
                url, data=body, headers={"Content-Type": "application/json", **headers}, allow_redirects=False
            ) as response:
                answer = _judged(response.status, await _beginning(response))
                after_s = retry_after_s(response.headers.get("Retry-After"), now_s=self._now_s())
                answer = msgspec.structs.replace(answer, retry_after_s=after_s)
        except TimeoutError:
            answer = Answer(error="timeout", message=f"it did not answer within {self._timeout.total:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            answer = _fault(exc)
        return msgspec.structs.replace(answer, took_ms=int(1000 * (self._monotonic() - began_s)))

    def _connector(self, *, encrypted: bool) -> aiohttp.TCPConnector:
        def check(address: str) -> None:
            if not may_reach(address, allowed=self._allowed, encrypted=encrypted):
                raise AddressRefused(refusal_of(address, encrypted=encrypted))

        def checked_socket(info: Any) -> socket.socket:
            family, kind, protocol, _, address = info
            check(str(address[0]))
            return socket.socket(family=family, type=kind, proto=protocol)

        return aiohttp.TCPConnector(
            resolver=_GuardedResolver(check, self._resolver()),
            socket_factory=checked_socket,
            use_dns_cache=False,
            force_close=True,
            limit=0,  # bounded by whoever posts
        )


async def _beginning(response: aiohttp.ClientResponse) -> str:
    """The first bytes of what was said; one that breaks off, or never ends, has still answered."""
    read = bytearray()
    try:
        while len(read) < MAX_ANSWER_BYTES:
            piece = await response.content.read(MAX_ANSWER_BYTES - len(read))
            if not piece:
                break
            read += piece
    except (aiohttp.ClientError, OSError, ValueError):  # a timeout is an OSError
        pass
    text = bytes(read).decode(errors="replace")
    shown = "".join(letter if letter.isprintable() else " " for letter in text[:MAX_ANSWER_LETTERS])
    return " ".join(shown.split())


def _judged(status: int, text: str) -> Answer:
    match status // 100:
        case 2:
            return Answer(status=status, text=text)
        case 3:
            message = f"it answered {status}, a redirect, which is not followed: change the address of the webhook"
            return Answer(status=status, text=text, error="redirect", message=message)
    if status == 410:
        return Answer(status=status, text=text, error="gone", message="it answered 410 Gone: it wants nothing more")
    return Answer(status=status, text=text, error="status", message=f"it answered {status}")


def _fault(exc: Exception) -> Answer:
    cause = exc.os_error if isinstance(exc, aiohttp.ClientConnectorError) else exc
    sentence = " ".join(str(cause).split())[:300] or type(cause).__name__
    match exc:
        case _ if isinstance(cause, AddressRefused):
            return Answer(error="private", message=sentence)
        case aiohttp.InvalidURL():
            return Answer(error="address", message=f"its address cannot be used: {sentence}")
        case aiohttp.ClientSSLError():
            return Answer(error="tls", message=f"its certificate or its encryption is not good: {sentence}")
        case aiohttp.ClientConnectorError():
            return Answer(error="unreachable", message=f"it cannot be reached: {sentence}")
        case aiohttp.ServerDisconnectedError() | ConnectionError() | aiohttp.ClientOSError():
            return Answer(error="closed", message="it closed the connection without an answer")
        case _:
            return Answer(error="nonsense", message=f"what it answered is not HTTP: {sentence}")
