"""A cell on a real server, driven function by function."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
from valkey import Valkey
from valkey.exceptions import OutOfMemoryError, ResponseError

from northstar.store.function_library import Library, build
from northstar.store.keys import KEY_KINDS, CellKeys

LIMITS = {
    "lease_ms": 30_000,
    "offer_ms": 2_000,
    "overdue_ms": 60_000,
    "alive_ms": 30_000,
    "max_body_bytes": 65_536,
    "max_jobs": 10_000,
    "max_tenant_jobs": 10_000,
    "max_events": 100_000,
    "lane_ttl_ms": 60_000,
    "dead_retention_ms": 604_800_000,
    "max_classes": 64,
    "max_lanes": 1_000,
    "max_profiles": 64,
    "max_machines": 100,
    "max_words": 1_000,
    "max_invites": 20,
    "max_tokens": 50,
    "max_invite_ms": 7_776_000_000,
    "token_ttl_ms": 2_592_000_000,
    "max_documents": 20,
    "max_documents_bytes": 200_000,
}
START_MS = 1_700_000_000_000
State = dict[str, object]
#: Of each key that is there, what the server packed it into.
Copy = dict[str, bytes]

_numbers = itertools.count(1)


class Refusal(Exception):
    """A function answered with an error; `code` is its first word."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.code = sentence.split(" ", maxsplit=1)[0]


def ask(server: Valkey, *words: object) -> Any:
    """Any command, and its answer as it comes."""
    run: Any = server.execute_command
    return run(*words)


def writes_of(server: Valkey) -> int:
    """How many changes this server has made; it saves no snapshot, which would begin the count again."""
    found: int = ask(server, "INFO", "persistence")["rdb_changes_since_last_save"]
    return found


def load(server: Valkey, library: Library) -> None:
    """Load, or load again, a library."""
    ask(server, "FUNCTION", "LOAD", "REPLACE", library.source)


class Cell:
    """One cell of its own on a server that others use too; on the virtual clock, which `now_ms` holds."""

    def __init__(self, server: Valkey, library: Library | None = None, *, clock: str = "virtual") -> None:
        self.server = server
        self.library = library or build()
        self.name = f"lib-{next(_numbers)}-{id(self):x}"
        self.keys = CellKeys(self.name)
        self.clock = clock
        self.now_ms = START_MS

    def open(self, **changes: Any) -> Any:
        request = {"clock": self.clock, "server": "here", "limits": LIMITS, "configure": False}
        return self.call("open_cell", **request | changes)

    def call(self, function: str, library: Library | None = None, /, **request: Any) -> Any:
        """Call a function of `library` (this cell's by default). Raises Refusal."""
        return msgspec.msgpack.decode(self.raw(function, msgspec.msgpack.encode(request), library))

    def raw(self, function: str, request: bytes, library: Library | None = None, /, *more: bytes) -> bytes:
        """Call with a packed request, and with more arguments than a library of ours reads."""
        library = library or self.library
        spec = library.functions[function]
        keys = self.keys.of(spec.keys)
        now = str(self.now_ms) if self.clock == "virtual" else ""
        command = "FCALL_RO" if spec.reads_only else "FCALL"
        try:
            answer = ask(self.server, command, spec.server_name, len(keys), *keys, library.digest, now, request, *more)
        except OutOfMemoryError as error:
            raise Refusal(f"OOM {error}") from error
        except ResponseError as error:
            raise Refusal(str(error)) from error
        assert isinstance(answer, bytes)
        return answer

    def state(self, *, without: str = "") -> State:
        """Everything in the cell, comparable: no order but the server's own promises. `without` leaves out one key."""
        reads = {"hash": ("HGETALL",), "zset": ("ZRANGE", 0, -1, "WITHSCORES"), "stream": ("XRANGE", "-", "+")}
        names = [name for name in KEY_KINDS if name != without]
        with self.server.pipeline(transaction=False) as pipe:
            commands: Any = pipe
            for name in names:
                command, *arguments = reads[KEY_KINDS[name]]
                commands.execute_command(command, self.keys[name], *arguments)
            found = dict(zip(names, commands.execute(), strict=True))
        return {name: value for name, value in found.items() if value}

    def dump(self) -> Copy:
        """Everything in the cell, as the server packs it."""
        with self.server.pipeline(transaction=False) as pipe:
            commands: Any = pipe
            for name in KEY_KINDS:
                commands.execute_command("DUMP", self.keys[name])
            found = dict(zip(KEY_KINDS, commands.execute(), strict=True))
        return {name: packed for name, packed in found.items() if packed is not None}

    def restore(self, copy: Copy) -> None:
        """Make the cell what another, or this one, was when it was copied; the copy must be of this server."""
        with self.server.pipeline(transaction=True) as pipe:
            commands: Any = pipe
            commands.execute_command("DEL", *(self.keys[name] for name in KEY_KINDS))
            for name, packed in copy.items():
                commands.execute_command("RESTORE", self.keys[name], 0, packed)
            commands.execute()

    def forget(self) -> None:
        """Delete the cell."""
        self.server.delete(*(self.keys[name] for name in KEY_KINDS))


class Untouched:
    """Whether a cell is still what it was; asked again and again.

    The server counts its changes. A count that stands still is proof; one that has moved, since others write to the server too, has
    every value compared.
    """

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self._state = cell.state()
        self._writes = writes_of(cell.server)

    def holds(self) -> bool:
        writes = writes_of(self._cell.server)
        if writes == self._writes:
            return True
        self._writes = writes
        return self._cell.state() == self._state
