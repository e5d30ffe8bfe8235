"""What can be wrong with the server that holds the hot state; one class for each thing a person can do about it.

    Unavailable
    ├── ValkeyGone, ValkeyTimeout, ValkeyLoading, ValkeyBusy      wait, or look at the server
    ├── ClusterDown, TooFewReplicas, ConnectionsExhausted
    ├── OutOfMemory, DiskFull                                     make room
    ├── ValkeyAuthFailed, ValkeyReadOnly, ValkeyTooOld,           change how it is set up; trying again does not help
    │   ValkeyEvicts, FunctionsMissing, ValkeyRefused
    └── DataDirectoryInUse, ValkeyBinaryMissing,                  the embedded server did not start
        ValkeyStartFailed
    InvalidRequest
    ├── UrlInvalid
    └── DataDirectoryUnusable

No sentence ever holds a password: addresses are redacted before they come here.
"""

from __future__ import annotations

from pathlib import Path

from northstar.domain.errors import InvalidRequest, Unavailable


class ValkeyGone(Unavailable):
    """Nothing answers at the address, or the connection broke. Whether a command in flight took effect is unknown."""

    code = "NS_VALKEY_GONE"

    def __init__(self, reason: str) -> None:
        super().__init__(f"Valkey does not answer: {reason}. Check that it runs and that the address is right")
        self.reason = reason


class ValkeyTimeout(Unavailable):
    """The server is there but was too slow. Whether the command took effect is unknown."""

    code = "NS_VALKEY_TIMEOUT"

    def __init__(self, reason: str) -> None:
        super().__init__(f"Valkey did not answer in time: {reason}. It may be overloaded, or the network cut")
        self.reason = reason


class ValkeyLoading(Unavailable):
    """The server has started and is still reading its data; it will answer soon."""

    code = "NS_VALKEY_LOADING"

    def __init__(self, reason: str) -> None:
        super().__init__(f"Valkey is still loading its data ({reason}); try again in a moment")
        self.reason = reason


class ValkeyBusy(Unavailable):
    """A script has been running for longer than the server's limit and nothing else is served meanwhile."""

    code = "NS_VALKEY_BUSY"

    def __init__(self, reason: str) -> None:
        super().__init__(f"Valkey is busy with a long script: {reason}")
        self.reason = reason


class ClusterDown(Unavailable):
    """The cluster does not serve all of its slots at present."""

    code = "NS_CLUSTER_DOWN"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the Valkey cluster is not whole: {reason}. See CLUSTER INFO and CLUSTER NODES")
        self.reason = reason


class TooFewReplicas(Unavailable):
    """The server demands more connected replicas (`min-replicas-to-write`) than it has, so it takes no writes."""

    code = "NS_TOO_FEW_REPLICAS"

    def __init__(self, reason: str) -> None:
        super().__init__(f"Valkey takes no writes until more replicas are connected: {reason}")
        self.reason = reason


class ConnectionsExhausted(Unavailable):
    """Every connection of the bounded pool, or of the server, is in use."""

    code = "NS_CONNECTIONS_EXHAUSTED"

    def __init__(self, reason: str) -> None:
        super().__init__(f"no connection to Valkey is free: {reason}. Raise the limit or lower the concurrency")
        self.reason = reason


class OutOfMemory(Unavailable):
    """The server is at `maxmemory`. Work under way can still finish; nothing new is taken."""

    code = "NS_OUT_OF_MEMORY"

    def __init__(self, reason: str) -> None:
        super().__init__(f"Valkey is out of memory: {reason}. Raise maxmemory or let waiting jobs finish")
        self.reason = reason


class DiskFull(Unavailable):
    """The server cannot write to its disk, so it takes no more writes. It takes them again by itself once it can.

    Unless every write is synced, the last writes it acknowledged may be in its memory only; they are written once there
    is room, and lost if the server ends before.
    """

    code = "NS_DISK_FULL"

    def __init__(self, reason: str) -> None:
        super().__init__(f"Valkey cannot write to its disk: {reason}. Make room there, and do not stop it before")
        self.reason = reason


class ValkeyAuthFailed(Unavailable):
    """The server refused the user name or password, or the user may not run a command North Star needs."""

    code = "NS_VALKEY_AUTH"
    retryable = False

    def __init__(self, reason: str) -> None:
        super().__init__(f"Valkey refused us: {reason}. Check user name, password and the rights of that user")
        self.reason = reason


class ValkeyReadOnly(Unavailable):
    """The server is a replica, or answers as one."""

    code = "NS_VALKEY_READ_ONLY"

    def __init__(self, reason: str) -> None:
        super().__init__(f"Valkey is read-only: {reason}. Connect to the primary, or through Sentinel")
        self.reason = reason


class ValkeyTooOld(Unavailable):
    """The server lacks server-side functions as North Star uses them."""

    code = "NS_VALKEY_TOO_OLD"
    retryable = False

    def __init__(self, *, found: str, needed: str, address: str) -> None:
        super().__init__(f"the server at {address} is {found}; North Star needs {needed} or later")
        self.found = found
        self.needed = needed
        self.address = address


class ValkeyEvicts(Unavailable):
    """The server would throw away jobs when its memory is full."""

    code = "NS_VALKEY_EVICTS"
    retryable = False

    def __init__(self, *, policy: str, address: str) -> None:
        super().__init__(
            f"the server at {address} has maxmemory-policy {policy}, which throws jobs away when memory is full; "
            "run: CONFIG SET maxmemory-policy noeviction (and set it in the server's configuration file)"
        )
        self.policy = policy
        self.address = address


class FunctionsMissing(Unavailable):
    """The server has no Lua engine for functions, or the user may not use it."""

    code = "NS_FUNCTIONS_MISSING"
    retryable = False

    def __init__(self, *, address: str, reason: str) -> None:
        super().__init__(f"the server at {address} runs no Lua functions: {reason}")
        self.address = address
        self.reason = reason


class ValkeyRefused(Unavailable):
    """The server refused a command for a reason that has no class of its own; its sentence is kept."""

    code = "NS_VALKEY_REFUSED"
    retryable = False

    def __init__(self, reason: str) -> None:
        super().__init__(f"Valkey refused a command: {reason}")
        self.reason = reason


class DataDirectoryInUse(Unavailable):
    """Another server holds the data directory. Two writers on one append-only file would destroy it."""

    code = "NS_DATA_DIR_IN_USE"

    def __init__(self, *, data_dir: Path, holder: str, pid: int | None) -> None:
        super().__init__(
            f"data directory {data_dir} is in use by {holder}; stop that first, or choose another directory"
        )
        self.data_dir = data_dir
        self.holder = holder
        self.pid = pid


class ValkeyBinaryMissing(Unavailable):
    """There is no server program to start."""

    code = "NS_VALKEY_MISSING"
    retryable = False

    def __init__(self, reason: str) -> None:
        super().__init__(f"no Valkey program to start: {reason}. Reinstall North Star, or give the URL of a server")
        self.reason = reason


class ValkeyStartFailed(Unavailable):
    """The embedded server ended, or stayed silent, before it could be used. `reason` is its own sentence."""

    code = "NS_VALKEY_START_FAILED"

    def __init__(self, *, reason: str, data_dir: Path, log: Path, exit_status: int | None) -> None:
        ended = "did not answer in time" if exit_status is None else f"ended with status {exit_status}"
        super().__init__(f"the embedded Valkey on {data_dir} {ended}: {reason} (log: {log})")
        self.reason = reason
        self.data_dir = data_dir
        self.log = log
        self.exit_status = exit_status


class UrlInvalid(InvalidRequest):
    """The address of the server cannot be understood. `url` is without its secrets."""

    code = "NS_URL_INVALID"

    def __init__(self, *, url: str, reason: str) -> None:
        super().__init__(f"{url!r} is not the address of a Valkey server: {reason}")
        self.url = url
        self.reason = reason


class DataDirectoryUnusable(InvalidRequest):
    """The data directory cannot be made, read or written."""

    code = "NS_DATA_DIR_UNUSABLE"

    def __init__(self, *, data_dir: Path, reason: str) -> None:
        super().__init__(f"data directory {data_dir} cannot be used: {reason}")
        self.data_dir = data_dir
        self.reason = reason
