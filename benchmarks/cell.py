"""One cell on an embedded server, called by a plain client that waits for each answer.

The cell runs on the virtual clock, so that nothing falls due by itself in the middle of a measurement and a queue can be
made overdue without waiting. On the live clock a call asks the server for its time as well: one command more.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar, cast

import msgspec
from valkey import Valkey

from northstar.domain.limits import CellLimits
from northstar.store import messages as m
from northstar.store.embedded import EmbeddedValkey, ServerOptions
from northstar.store.function_library import build
from northstar.store.keys import KEY_KINDS, CellKeys

Reply = TypeVar("Reply")

#: Where every cell's clock begins, ms since 1970; ages have their full width.
BEGIN_MS = 1_750_000_000_000
#: Jobs of one submission, and the most that any batch of a call may hold.
BATCH = 500
#: Nothing here is to be refused: the bounds are above every size measured.
LIMITS = CellLimits(
    lease_ms=86_400_000,
    alive_ms=86_400_000,
    lane_ttl_ms=86_400_000,
    max_jobs=10_000_000,
    max_tenant_jobs=10_000_000,
    max_events=100_000_000,
)
MACHINE_SLOTS = 500
SESSION = "first"
_ANSWER_S = 120.0
#: A rewrite of the append-only file would fork the server in the middle of one measurement and not of another.
_DIRECTIVES = (("auto-aof-rewrite-percentage", "0"),)


class Served(msgspec.Struct, frozen=True):
    """The running server and a client on its unix socket."""

    client: Valkey
    pid: int
    version: str


@contextlib.contextmanager
def served(*, append_only: bool) -> Iterator[Served]:
    """Start a server with the function library in it; it and its data are gone at the end."""
    options = ServerOptions(append_only=append_only, directives=_DIRECTIVES)
    with asyncio.Runner() as runner:
        server = EmbeddedValkey(options=options)
        runner.run(server.start())
        try:
            client = Valkey.from_url(server.url, socket_timeout=_ANSWER_S)
            client.function_load(build().source)
            version = str(cast("dict[str, Any]", client.info("server"))["valkey_version"])
            yield Served(client, server.pid, version)
            client.close()  # type: ignore[no-untyped-call]
        finally:
            runner.run(server.stop())


class MeasuredCell:
    """A cell of its own clock. Every call takes place a millisecond after the one before."""

    def __init__(self, client: Valkey, name: str) -> None:
        library = build()
        self.client = client
        self.keys = CellKeys(name)
        self.now_ms = BEGIN_MS
        self._send = cast("Callable[..., bytes]", client.execute_command)
        self._digest = library.digest
        self._calls = {
            name: ("FCALL_RO" if spec.reads_only else "FCALL", spec.server_name, len(spec.keys), *self.keys.of(spec.keys))
            for name, spec in library.functions.items()
        }  # fmt: skip
        self._encode = msgspec.msgpack.Encoder().encode
        self._decoders: dict[Any, msgspec.msgpack.Decoder[Any]] = {}

    def open(self, limits: CellLimits = LIMITS, *, configure: bool = False) -> None:
        """Make the cell, or with `configure` give it other limits."""
        request = {"clock": "virtual", "server": "measured", "limits": limits, "configure": configure}
        self.call("open_cell", request, m.OpenReply)

    def call(self, function: str, request: Any, reply: type[Reply]) -> Reply:
        """Call a function and read its answer; a refusal is the client's ResponseError."""
        self.now_ms += 1
        answer = self._send(*self._calls[function], self._digest, str(self.now_ms), self._encode(request))
        decoder = self._decoders.get(reply)
        if decoder is None:
            decoder = self._decoders[reply] = msgspec.msgpack.Decoder(reply)
        return cast("Reply", decoder.decode(answer))

    def register(self, machine: str, *, profile: str) -> str:
        """Make a machine known; gives its profile's id."""
        request = {
            "machine": machine,
            "session": SESSION,
            "profile": profile,
            "fits": [],
            "slots": MACHINE_SLOTS,
            "vram_mb": 0,
            "holder": "bench",
            "description": "{}",
            "words": [],
            "nonce": "registered",
        }
        return self.call("register_machine", request, m.RegisterReply).profile

    def submit(self, lanes: Sequence[m.WantedLane], jobs: Sequence[m.WantedJob]) -> None:
        """Submit at most `BATCH` jobs in one call."""
        self.call("submit", {"nonce": "submitted", "lanes": lanes, "jobs": jobs}, dict[str, Any])

    def claim(self, machine: str, *, credits_: int, nonce: str) -> m.ClaimReply:
        """What the machine gets; it does not wait for more."""
        request = {"machine": machine, "session": SESSION, "credits": credits_, "nonce": nonce, "park": False}
        return self.call("claim", request, m.ClaimReply)

    def complete_and_claim(self, machine: str, done: Sequence[m.Done], *, credits_: int, nonce: str) -> m.ClaimReply:
        """Results in, next jobs out."""
        request = {
            "machine": machine,
            "session": SESSION,
            "jobs": done,
            "credits": credits_,
            "nonce": nonce,
            "park": False,
        }
        return self.call("complete_and_claim", request, m.ClaimReply)

    def complete(self, machine: str, done: Sequence[m.Done]) -> None:
        """Results in."""
        self.call("complete", {"machine": machine, "session": SESSION, "jobs": done}, dict[str, Any])

    def forget_events(self) -> None:
        """Let the stream forget what happened, as it may once the history has it."""
        reply = self.call("statistics", {"lanes": 0, "after": ""}, m.StatisticsReply)
        event, epoch = reply.counts["event"], reply.counts["epoch"]
        self.call("events_committed", {"epoch": epoch, "event": event}, dict[str, int])

    def ids(self, name: str, keys: Sequence[str]) -> list[str]:
        """Ids that the cell gave to lanes or classes, by their text."""
        found = cast("list[bytes]", self.client.hmget(self.keys[name].decode(), [f"k{key}" for key in keys]))
        return [number.decode() for number in found]

    def bytes_by_key(self) -> dict[str, int]:
        """Memory of each of the cell's keys, every member counted."""
        return {
            name: int(cast("int | None", self.client.memory_usage(self.keys[name].decode(), samples=0)) or 0)
            for name in KEY_KINDS
        }


def info(client: Valkey, section: str) -> dict[str, Any]:
    """One section of what the server says of itself."""
    return cast("dict[str, Any]", client.info(section))
