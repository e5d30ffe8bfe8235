"""The server's configuration, given to it on its standard input: no file, nothing in the list of processes."""

from __future__ import annotations

from typing import Final

from northstar.store.embedded.endpoint import Endpoint
from northstar.store.embedded.options import ServerOptions

LOG_NAME: Final = "valkey.log"


def render(options: ServerOptions, endpoint: Endpoint) -> bytes:
    """All directives, one a line. The server runs inside its data directory, so no path to it is needed."""
    directives = [
        ("daemonize", "no"),
        ("supervised", "no"),
        ("logfile", LOG_NAME),
        ("loglevel", "notice"),
        ("appendonly", "yes" if options.append_only else "no"),
        ("appendfsync", options.fsync),
        ("aof-load-truncated", "yes"),
        # Snapshots would only repeat what the append-only file has.
        ("save", ""),
        ("maxmemory", str(options.max_memory_bytes or 0)),
        ("maxmemory-policy", "noeviction"),
        # At SIGTERM: sync the append-only file, wait for nobody, and end whatever the state of things.
        ("shutdown-on-sigterm", "nosave now force"),
        *_listening(endpoint),
        *options.directives,
    ]
    if options.password is not None:
        directives.append(("requirepass", options.password))
    return b"".join(f"{name} {_value(name, value)}\n".encode() for name, value in directives)


def _listening(endpoint: Endpoint) -> list[tuple[str, str]]:
    if endpoint.socket_path is not None:
        return [("port", "0"), ("unixsocket", str(endpoint.socket_path)), ("unixsocketperm", "700")]
    return [("bind", endpoint.host), ("port", str(endpoint.port))]


#: Directives that take several words; each word is an argument of its own.
_SEVERAL_WORDS: Final = frozenset({"shutdown-on-sigterm", "client-output-buffer-limit"})


def _value(name: str, value: str) -> str:
    return " ".join(map(quoted, value.split())) if name in _SEVERAL_WORDS else quoted(value)


def quoted(value: str) -> str:
    r"""Write any text so that the server's parser reads back the same bytes.

    >>> print(quoted('a "b" ü'))
    "a \x22b\x22 \xc3\xbc"
    """
    harmless = frozenset(range(0x20, 0x7F)) - frozenset(b'"\\')
    return (
        '"'
        + "".join(chr(b) if b in harmless else f"\\x{b:02x}" for b in value.encode("utf-8", "surrogateescape"))
        + '"'
    )
