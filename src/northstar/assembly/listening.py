"""The socket on which the front will listen: taken before anything is changed, so that a start that fails leaves no trace."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Final
from urllib.parse import urlsplit

from northstar.config import ServeSettings
from northstar.domain.errors import InvalidRequest, Unavailable

#: Connections that ask at one moment; a fleet that lost its broker comes back all at once.
_BACKLOG: Final = 4_096
_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 -- compared, not listened on
#: Names of this host that no other host reaches.
_LOOPBACK: Final = ("127.", "localhost", "::1")


class AddressUnavailable(Unavailable):
    """The front cannot listen where it should."""

    code: ClassVar[str] = "NS_ADDRESS_UNAVAILABLE"
    retryable = False

    def __init__(self, host: str, port: int, *, reason: str) -> None:
        super().__init__(f"{host}:{port} cannot be listened on ({reason}); set serve.host and serve.port to another")


class TlsFilesUnusable(InvalidRequest):
    """The certificate or its key cannot be used."""

    code: ClassVar[str] = "NS_TLS_FILES_UNUSABLE"

    def __init__(self, reason: str) -> None:
        super().__init__(f"serve.tls_certificate and serve.tls_key cannot be used: {reason}")


@contextmanager
def listening_on(wanted: ServeSettings) -> Iterator[socket.socket]:
    """A socket that listens until the block ends; who dials meanwhile waits until the front takes the call.

    Raises:
        AddressUnavailable: it cannot listen there. TlsFilesUnusable: the certificate or its key is no such thing.
    """
    if wanted.tls_certificate:
        _check_tls(wanted.tls_certificate, wanted.tls_key)
    listening = _listening(wanted.host, wanted.port)
    try:
        yield listening
    finally:
        listening.close()


def listens_everywhere(host: str) -> bool:
    """Whether whoever reaches any address of this host reaches what listens on `host`."""
    return host in _EVERYWHERE


def reachable(host: str) -> str:
    """The address by which a process on this host reaches what listens on `host`.

    >>> reachable("0.0.0.0"), reachable("::"), reachable("10.0.0.7")
    ('127.0.0.1', '[::1]', '10.0.0.7')
    """
    host = _EVERYWHERE.get(host, host)
    return f"[{host}]" if ":" in host else host


def dialled_from_elsewhere(url: str) -> str:
    """The address that machines on other hosts dial, of one by which this host reaches the broker; empty: others do not reach that one.

    >>> dialled_from_elsewhere("https://10.0.0.7:8443"), dialled_from_elsewhere("http://127.0.0.1:8080")
    ('wss://10.0.0.7:8443', '')
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not host or host.startswith(_LOOPBACK):
        return ""
    return parts._replace(scheme={"https": "wss"}.get(parts.scheme, "ws")).geturl()


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(_BACKLOG)
        listening.setblocking(False)  # noqa: FBT003 -- as the standard library has it
    except OSError as exc:
        listening.close()
        reason = "it is in use" if exc.errno == errno.EADDRINUSE else exc.strerror or str(exc)
        raise AddressUnavailable(host, port, reason=reason) from exc
    return listening


def _check_tls(certificate: str, key: str) -> None:
    for name in filter(None, (certificate, key)):
        try:
            with Path(name).open("rb") as file:
                file.read(1)
        except OSError as exc:
            raise TlsFilesUnusable(f"{name}: {exc.strerror or exc}") from exc
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key or None)
    except OSError as exc:  # an ssl.SSLError is one
        files = f"{certificate} with {key}" if key else certificate
        raise TlsFilesUnusable(f"{files}: {exc}") from exc
