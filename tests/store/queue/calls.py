"""Call the function library as any program would: the server by its URL, the request as a dict, the refusal as an exception."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec
import valkey
from valkey.cluster import ClusterNode, ValkeyCluster
from valkey.exceptions import ResponseError

from northstar.store.function_library import Library, build
from northstar.store.keys import CellKeys

Reply = dict[str, Any]

_NUMBERS = itertools.count(1)
NOON_MS = 1_700_000_000_000

#: Limits under which every bound of a cell can be reached within a few calls.
LIMITS = {
    "lease_ms": 30_000,
    "offer_ms": 2_000,
    "overdue_ms": 60_000,
    "alive_ms": 40_000,
    "max_body_bytes": 1_000,
    "max_jobs": 100_000,
    "max_tenant_jobs": 50_000,
    "max_events": 1_000_000,
    "lane_ttl_ms": 60_000,
    "dead_retention_ms": 600_000,
    "max_classes": 1_000,
    "max_lanes": 1_000,
    "max_profiles": 1_000,
    "max_machines": 1_000,
    "max_words": 1_000,
    "max_invites": 20,
    "max_tokens": 50,
    "max_invite_ms": 7_776_000_000,
    "token_ttl_ms": 2_592_000_000,
    "max_documents": 20,
    "max_documents_bytes": 200_000,
}


class Refused(Exception):
    """An ordinary "no" of the library: its name, and its facts."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.code, *facts = text.split(" ")
        self.facts = dict(fact.partition("=")[::2] for fact in facts)


@dataclass(frozen=True)
class Event:
    """One entry of a cell's stream."""

    epoch: int
    number: int
    kind: str
    subject: str
    job_number: int
    at_ms: int
    data: dict[str, Any]


class Server:
    """A single server or a cluster, with the library on every primary."""

    # The client library is not typed for calls by name.
    _single: Any = None
    _cluster: Any = None

    def __init__(self, url: str, library: Library | None = None) -> None:
        self.library = library or build()
        if url.startswith("valkey+cluster://"):
            make_node: Any = ClusterNode
            make_cluster: Any = ValkeyCluster
            hosts = [host.rpartition(":") for host in urlsplit(url).netloc.split(",")]
            self._cluster = make_cluster(startup_nodes=[make_node(host, int(port)) for host, _, port in hosts])
            nodes = [self._cluster.get_valkey_connection(node) for node in self._cluster.get_primaries()]
        else:
            self._single = valkey.Valkey.from_url(url)
            nodes = [self._single]
        for node in nodes:
            node.execute_command("FUNCTION", "LOAD", "REPLACE", self.library.source)

    def node_of(self, key: bytes) -> Any:
        """A direct connection to the primary that serves the key; cells do not move between nodes during a test."""
        if self._cluster is None:
            return self._single
        return self._cluster.get_valkey_connection(self._cluster.get_node_from_key(key))

    def slot_of(self, key: bytes) -> int:
        """The cluster's slot of the key; 0 on a single server."""
        return int(self._cluster.keyslot(key)) if self._cluster else 0

    def close(self) -> None:
        (self._cluster or self._single).close()


class Cell:
    """One cell on the virtual clock. `now_ms` is what the next call says the time is."""

    def __init__(self, server: Server, name: str | None = None, *, now_ms: int = NOON_MS) -> None:
        self.name = name or f"q{os.getpid()}-{next(_NUMBERS)}"
        self.keys, self.library, self.now_ms = CellKeys(self.name), server.library, now_ms
        self.node = server.node_of(self.keys["meta"])
        self._last_read = "-"

    def open(self, limits: dict[str, int] | None = None, *, server: str = "one", configure: bool = False) -> Reply:
        """`limits` is what differs from LIMITS."""
        chosen = LIMITS | (limits or {})
        return self.call("open_cell", clock="virtual", server=server, limits=chosen, configure=configure)

    def command(self, function: str, request: Reply, *, digest: str | None = None) -> tuple[Any, ...]:
        spec = self.library.functions[function]
        now = "" if function == "open_cell" else str(self.now_ms)
        verb = "FCALL_RO" if spec.reads_only else "FCALL"
        keys = self.keys.of(spec.keys)
        packed = msgspec.msgpack.encode(request)
        return (verb, spec.server_name, len(keys), *keys, digest or self.library.digest, now, packed)

    def call(self, function: str, **request: Any) -> Reply:
        """Raises Refused."""
        try:
            reply = self.node.execute_command(*self.command(function, request))
        except ResponseError as refusal:
            raise Refused(str(refusal)) from None
        decoded: Reply = msgspec.msgpack.decode(reply)
        return decoded

    def call_and_read(self, function: str, request: Reply) -> tuple[Reply | Refused, list[Event]]:
        """One call and the events that are new since the last such call, in one round trip."""
        pipeline = self.node.pipeline(transaction=False)
        pipeline.execute_command(*self.command(function, request))
        pipeline.execute_command("XRANGE", self.keys["events"], self._last_read, "+")
        reply, entries = pipeline.execute(raise_on_error=False)
        if isinstance(entries, Exception):
            raise entries
        if entries:
            self._last_read = "(" + entries[-1][0].decode()
        events = [_event(*entry) for entry in entries]
        if isinstance(reply, Exception):
            return Refused(str(reply)), events
        return msgspec.msgpack.decode(reply), events

    def events(self, *subjects: str) -> list[Event]:
        """All events that the stream still has, of these subjects if any are named."""
        entries = self.node.execute_command("XRANGE", self.keys["events"], "-", "+")
        events = [_event(*entry) for entry in entries]
        return [event for event in events if not subjects or event.subject in subjects]

    def kinds(self, *subjects: str) -> list[str]:
        return [event.kind for event in self.events(*subjects)]

    def erase(self) -> None:
        self.node.execute_command("UNLINK", *self.keys.of(tuple(self.library.functions["tick"].keys)))
        self.node.execute_command("UNLINK", self.keys["vocabulary"], self.keys["classes"], self.keys["transfers"])


def _event(key: bytes, fields: Any) -> Event:
    epoch, _, number = key.decode().partition("-")
    # RESP2 gives fields as a flat list or as a map, as the client likes.
    packed = fields[b"e"] if isinstance(fields, dict) else fields[1]
    kind, subject, job_number, at_ms, data = msgspec.msgpack.decode(packed)
    pairs = dict(zip(data[::2], data[1::2], strict=True)) if data else {}
    return Event(int(epoch), int(number), kind, subject, int(job_number), int(at_ms), pairs)
