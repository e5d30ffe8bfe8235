"""Where an embedded server listens: a unix socket in a directory of its own, or a TCP port."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import tempfile
from pathlib import Path
from typing import Final
from urllib.parse import quote

import msgspec

from northstar.store.embedded.options import ServerOptions
from northstar.store.errors import DataDirectoryUnusable

#: `sun_path` holds 108 bytes on Linux and 104 on macOS, the closing NUL among them.
_MAX_SOCKET_PATH_BYTES: Final = 103
_PREFIX: Final = "ns-"
_SOCKET_NAME: Final = "s"

#: Below 32768, where Linux takes the ports of outgoing connections from, so that no connection takes the port while
#: the server is down; and low enough that a cluster's second port (10,000 above) is one, too.
_PORTS: Final = range(20_000, 32_000)
_PORT_TRIES: Final = 200


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A socket path, or a host and a port; and how to write it down for clients."""

    socket_path: Path | None = None
    host: str = ""
    port: int = 0

    def url(self, *, password: str | None) -> str:
        """The address for clients, with the password in it if there is one."""
        secret = f":{quote(password, safe='')}@" if password is not None else ""
        if self.socket_path is not None:
            return f"unix://{secret}{quote(str(self.socket_path))}"
        reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 -- compared, not bound
        host = f"[{reachable}]" if ":" in reachable else reachable
        return f"valkey://{secret}{host}:{self.port}"


def make_socket_endpoint(*, data_dir: Path) -> Endpoint:
    """A new private directory with a name short enough for a socket.

    Raises:
        DataDirectoryUnusable: No directory for temporary files has a path short enough.
    """
    for parent in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"):  # noqa: S108 -- mkdtemp is private
        if not parent or len(os.fsencode(parent)) + 20 > _MAX_SOCKET_PATH_BYTES:
            continue
        with contextlib.suppress(OSError):
            return Endpoint(socket_path=Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent)) / _SOCKET_NAME)
    raise DataDirectoryUnusable(data_dir=data_dir, reason="there is no writable place for its socket with a short path")


def remove_socket_directory(socket_path: Path) -> None:
    """Remove what `make_socket_endpoint` made, if it is ours and holds nothing else; leave anything else alone."""
    directory = socket_path.parent
    if socket_path.name != _SOCKET_NAME or not directory.name.startswith(_PREFIX):
        return
    with contextlib.suppress(OSError):
        if directory.lstat().st_uid == os.getuid():
            socket_path.unlink(missing_ok=True)
            directory.rmdir()


def choose_port_endpoint(options: ServerOptions, *, rng: random.Random) -> Endpoint:
    """The wished port, or one that is free at this moment; whether it still is at the start, only the start shows."""
    if options.port is not None:
        return Endpoint(host=options.host, port=options.port)
    for _ in range(_PORT_TRIES):
        port = rng.choice(_PORTS)
        if _is_free(options.host, port) and _is_free(options.host, port + 10_000):
            break
    return Endpoint(host=options.host, port=port)


def _is_free(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
