"""What was wrong with a connection, in words: which host and port, and what failed. Never the text of a client's own objects."""

from __future__ import annotations

import errno
import socket
import ssl
from typing import Final

import aiohttp

_MAX_CHARACTERS: Final = 300
_BROKEN: Final = frozenset({errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED})
#: What the ways to fail are called; the first that fits counts, so the special ones come first.
_KINDS: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (aiohttp.ServerDisconnectedError, "the other side closed the connection before it answered"),
    (ConnectionRefusedError, "nothing listens there"),
    (aiohttp.ClientPayloadError, "the answer broke off in the middle"),
    (TimeoutError, "no answer in time"),
)


def connection_words(error: BaseException) -> str:
    """The sentence for an error of a connection, without a full stop.

    >>> connection_words(ConnectionRefusedError(111, "Connect call failed"))
    'nothing listens there'
    """
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"{error.host}:{error.port}: {_what(error.certificate_error)}"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"{error.host}:{error.port}: {_what(error.os_error)}"
    if isinstance(error, aiohttp.WSServerHandshakeError):
        return f"it answered with status {error.status} instead of a WebSocket"
    return _what(error)


def _what(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({getattr(error, 'verify_message', '') or 'verification failed'})"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({getattr(error, 'reason', None) or 'is it a server with TLS?'})"
    if isinstance(error, socket.gaierror):
        return "there is no host of that name"
    if isinstance(error, OSError) and error.errno in _BROKEN:
        return "the other side broke the connection off"
    for kind, words in _KINDS:
        if isinstance(error, kind):
            return words
    if isinstance(error, aiohttp.ClientOSError) and error.strerror is None:
        return "the connection broke"
    told = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (told or type(error).__name__)[:_MAX_CHARACTERS]
