"""An error of a connection says host, port and what failed, and shows nothing of a client's insides."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator

import aiohttp
import pytest

from northstar.connectors.connection_words import connection_words


@contextlib.contextmanager
def a_free_port() -> Iterator[int]:
    """A port on which nobody listens, kept from everybody else meanwhile."""
    with socket.socket() as kept:
        kept.bind(("127.0.0.1", 0))
        yield kept.getsockname()[1]


async def words_of(url: str, **options: object) -> str:
    async with aiohttp.ClientSession() as http:
        with pytest.raises((aiohttp.ClientError, OSError, TimeoutError)) as caught:
            await http.get(url, **options)  # type: ignore[arg-type]
    return connection_words(caught.value)


@pytest.mark.parametrize("tls", [False, True])
async def test_nobody_listens(tls: bool) -> None:
    context = ssl.create_default_context() if tls else False
    with a_free_port() as port:
        said = await words_of(f"http{'s' if tls else ''}://127.0.0.1:{port}/", ssl=context)
    assert said == f"127.0.0.1:{port}: nothing listens there"


async def test_a_server_without_tls_is_dialled_with_it() -> None:
    async def answer(reader: object, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        said = await words_of(f"https://127.0.0.1:{port}/", ssl=ssl.create_default_context())
    assert said.startswith(f"127.0.0.1:{port}: TLS failed (")
    assert "object" not in said


async def test_a_server_that_hangs_up() -> None:
    async def hang_up(reader: object, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    async with server:
        said = await words_of(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    assert said in {
        "the other side closed the connection before it answered",
        "the other side broke the connection off",
    }


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (socket.gaierror(-2, "Name or service not known"), "there is no host of that name"),
        (TimeoutError(), "no answer in time"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (ssl.SSLCertVerificationError(1, "certificate verify failed"), "its certificate is not trusted"),
        (aiohttp.ClientError("odd"), "odd"),
        (aiohttp.ClientError(), "ClientError"),
    ],
)
def test_each_way_to_fail_has_words(error: Exception, words: str) -> None:
    assert connection_words(error).startswith(words)
