"""What may be chosen about an embedded server."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec

from northstar.domain.amounts import exactly
from northstar.domain.errors import InvalidRequest

#: Less than this and an empty server already refuses work.
_MIN_MEMORY_BYTES: Final = 8 * 1024 * 1024

#: Directives that have an option of their own, or that the supervision rests on.
_OURS: Final = frozenset(
    {
        "appenddirname",
        "appendfilename",
        "appendfsync",
        "appendonly",
        "bind",
        "daemonize",
        "dir",
        "logfile",
        "maxmemory",
        "maxmemory-policy",
        "pidfile",
        "requirepass",
        "save",
        "shutdown-on-sigterm",
        "supervised",
        "unixsocket",
    },
)


class RestartPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """When a server that died is started again: at most `limit` times within `window_s`, waiting longer each time."""

    limit: int = 5
    window_s: float = 300.0
    first_delay_s: float = 0.1
    max_delay_s: float = 5.0

    def delay_s(self, deaths: Sequence[float], *, now: float) -> float | None:
        """Seconds to wait before the next start, or None to give up.

        `deaths` are the moments of all deaths so far, the present one among them, on the same clock as `now`.

        >>> policy = RestartPolicy(limit=3, window_s=60, first_delay_s=0.1, max_delay_s=5)
        >>> [policy.delay_s([100.0] * n, now=101.0) for n in (1, 2, 3, 4)]
        [0.1, 0.2, 0.4, None]
        """
        recent = sum(1 for moment in deaths if now - moment <= self.window_s)
        if recent > self.limit:
            return None
        return float(min(self.first_delay_s * 2 ** max(0, recent - 1), self.max_delay_s))


class ServerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How the server persists, listens and is watched. Its repr hides the password."""

    #: When the append-only file is synced to the disk: what a loss of power may cost. See the guarantees page.
    fsync: Literal["always", "everysec", "no"] = "everysec"
    #: False keeps nothing at all; for measurements.
    append_only: bool = True
    #: None: as much as the machine has. At the limit new work is refused, nothing is thrown away.
    max_memory_bytes: int | None = None
    #: A unix socket in a private directory, or a TCP port.
    listen: Literal["unix", "tcp"] = "unix"
    #: Address to bind with `tcp`; anything but loopback needs a password.
    host: str = "127.0.0.1"
    #: Port with `tcp`; None picks a free one, and another if that is taken meanwhile.
    port: int | None = None
    password: str | None = None
    #: None: a death is reported and final.
    restart: RestartPolicy | None = None
    #: How long the server may be silent at its start, in seconds.
    start_timeout_s: float = 20.0
    #: How long it may read its data, while it says that it does, in seconds.
    load_timeout_s: float = 600.0
    #: How long an orderly end may take before SIGTERM, and then SIGKILL, in seconds.
    stop_timeout_s: float = 10.0
    #: The log is moved to `valkey.log.1` beyond this; so at most about twice as much is kept.
    log_limit_bytes: int = 4 * 1024 * 1024
    #: The server program; None takes the one that comes with North Star. A Redis 7 serves as well.
    binary: Path | None = None
    #: Further directives of the server's configuration, as pairs of name and value.
    directives: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if self.max_memory_bytes is not None and self.max_memory_bytes < _MIN_MEMORY_BYTES:
            raise InvalidRequest(
                f"max_memory_bytes must be at least {exactly(_MIN_MEMORY_BYTES)}, not {exactly(self.max_memory_bytes)}"
            )
        if self.port is not None and not 1 <= self.port <= 65535:
            raise InvalidRequest(f"port must be between 1 and 65535, not {self.port}")
        if self.password == "":
            raise InvalidRequest("an empty password protects nothing; leave it out or give one")
        if self.listen == "tcp" and self.password is None and not _is_loopback(self.host):
            raise InvalidRequest(f"a server on {self.host} can be reached by others and needs a password")
        for name, _ in self.directives:
            if name.lower() in _OURS:
                raise InvalidRequest(f"the directive {name} is set by North Star itself")

    def __repr__(self) -> str:
        hidden = msgspec.structs.asdict(self) | {"password": None if self.password is None else "***"}
        return "ServerOptions(" + ", ".join(f"{name}={value!r}" for name, value in hidden.items()) + ")"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
