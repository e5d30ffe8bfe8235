"""Reading a cell as policy wants to see it. Plain reads of fixed keys; nothing is changed, nothing is locked.

The parts are read one after another, so they may differ by what happened in between; the function library checks every fact
again when policy's decision is committed.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec
from valkey.asyncio.cluster import ValkeyCluster

from northstar.domain.machines import read_profile
from northstar.domain.requirements import read_anchors, read_class
from northstar.policy.routing.snapshot import ASSUMED_RUN_S, CellSnapshot, LaneState
from northstar.store.known_machines import KnownMachines
from northstar.store.known_records import KnownRecords, KnownTexts
from northstar.store.messages import Candidate, ClassRecord, LaneRecord, ProfileRecord, StoredChoice
from northstar.store.node_sets import read_node_sets
from northstar.store.stored_records import StoredRecords, numbered
from northstar.store.valkey import FAULTS, ValkeyClient, translate

if TYPE_CHECKING:
    from collections.abc import Callable

    from northstar.domain.machines import MachineProfile
    from northstar.domain.requirements import RequirementClass
    from northstar.store.keys import CellKeys

Answer = TypeVar("Answer")
Value = TypeVar("Value")

_READ = ("lanes", "classes", "profiles", "fits", "machines", "descriptions", "residency", "fetches", "heads")
#: Characters at the end of a head that are the age of the lane's oldest job; those before them are the order of its first.
_AGE = 11
#: Decoding fewer fields than this takes less than handing it to a thread pays.
_FEW_FIELDS = 200

_records = StoredRecords()
_read_lane = msgspec.msgpack.Decoder(LaneRecord).decode
_read_class_record = msgspec.msgpack.Decoder(ClassRecord).decode
_read_profile_record = msgspec.msgpack.Decoder(ProfileRecord).decode


async def read_snapshot(client: ValkeyClient, keys: CellKeys) -> CellSnapshot:
    """One look at the cell, as `CellReader.snapshot`. Raises Unavailable when the server does not answer."""
    return await CellReader(client, keys).snapshot()


async def read_candidates(client: ValkeyClient, keys: CellKeys) -> dict[str, frozenset[Candidate]]:
    """One look at what each machine may take, as `CellReader.candidates`. Raises Unavailable when the server does not answer."""
    return await CellReader(client, keys).candidates()


async def read_at_once(client: ValkeyClient, commands: list[tuple[Any, ...]]) -> list[Any]:
    """Answers to several reads of one cell: in one round trip, or side by side where the client is a cluster's.

    A cluster client that never repeats a command does not run pipelines.
    """
    if isinstance(client, ValkeyCluster):
        return await asyncio.gather(*(client.execute_command(*command) for command in commands))
    pipeline = client.pipeline(transaction=False)
    for command in commands:
        pipeline.execute_command(*command)
    return list(await pipeline.execute())


class _Hot(msgspec.Struct, array_like=True):
    """Counters of the cell; position as `ns.H`."""

    last_ms: float


_read_hot = msgspec.msgpack.Decoder(_Hot).decode


def _now_ms(hot: bytes | None) -> int:
    """When the cell was last called; 0 for a cell that nobody has opened."""
    return 0 if hot is None else int(_read_hot(hot).last_ms)


class CellReader:
    """Reads one cell again and again, for whoever looks at it often: what says the same as at the last look is not read again.

    What it gives is what a first reader would be given; parts that did not change are the same objects. It keeps what the cell had
    at its last look, about a kilobyte a machine. Several may look by one reader, also at the same time: each is given what its own
    call found, and what nobody changed is read once for all of them.
    """

    def __init__(self, client: ValkeyClient, keys: CellKeys) -> None:
        self._client = client
        self._keys = keys
        # A look that is given up goes on in its thread, beside the one after it; and several look.
        self._turn = threading.Lock()
        self._machines = KnownMachines(keys)
        self._lanes: dict[str, tuple[_SeenLane, LaneState]] = {}
        self._profiles = KnownRecords(keys["profiles"], _profile, _records)
        self._classes = KnownRecords(keys["classes"], _class, _records)
        self._fits_seen: dict[bytes, bytes] = {}
        self._fits: dict[tuple[str, str], bool] = {}
        self._choices = KnownTexts(lambda _, packed: _candidates(packed))
        self._candidates = KnownRecords(keys["candidates"], self._choices.read, _records)

    async def snapshot(self) -> CellSnapshot:
        """The cell now; records that this version cannot read are left out. Raises Unavailable when the server does not answer."""
        try:
            seen = await self._seen_in(await read_at_once(self._client, self._reads()))
        except FAULTS as exc:
            raise translate(exc) from exc
        return await self._in_turn(self._read, seen, fields=seen.fields)

    async def candidates_and_snapshot(self) -> tuple[dict[str, frozenset[Candidate]], CellSnapshot]:
        """What each machine may take, and the cell as it was just after that, in one round trip. Raises as they do."""
        if isinstance(self._client, ValkeyCluster):  # which reads side by side, and so in no order
            return await self.candidates(), await self.snapshot()
        try:
            known, *answers = await read_at_once(self._client, [("HGETALL", self._keys["candidates"]), *self._reads()])
            seen = await self._seen_in(answers)
        except FAULTS as exc:
            raise translate(exc) from exc
        candidates = await self._in_turn(self._read_candidates, known, fields=len(known))
        return candidates, await self._in_turn(self._read, seen, fields=seen.fields)

    def _reads(self) -> list[tuple[Any, ...]]:
        keys = self._keys
        return [
            *(("HGETALL", keys[name]) for name in _READ),
            ("ZRANGE", keys["parked"], 0, -1),
            ("HKEYS", keys["node_sets"]),
            ("HKEYS", keys["pauses"]),
            ("HGET", keys["meta"], "hot"),
        ]

    async def _seen_in(self, answers: list[Any]) -> _Seen:
        *parts, parked, digests, pauses, hot = answers
        node_sets = await read_node_sets(self._client, self._keys, digests)
        paused = frozenset(scope.decode() for scope in pauses)
        return _Seen(dict(zip(_READ, parts, strict=True)), frozenset(parked), node_sets, paused, _now_ms(hot))

    async def candidates(self) -> dict[str, frozenset[Candidate]]:
        """What each machine may take at present, whoever wrote it. Raises Unavailable when the server does not answer."""
        try:
            answer: dict[bytes, bytes] = await self._client.execute_command("HGETALL", self._keys["candidates"])
        except FAULTS as exc:
            raise translate(exc) from exc
        return await self._in_turn(self._read_candidates, answer, fields=len(answer))

    async def _in_turn(self, read: Callable[[Answer], Value], answer: Answer, *, fields: int) -> Value:
        """Read an answer, one at a time: in a thread where there is much of it, or where another one is being read, so that nobody waits here."""
        if fields < _FEW_FIELDS and self._turn.acquire(blocking=False):
            try:
                return read(answer)
            finally:
                self._turn.release()
        return await asyncio.to_thread(self._read_when_free, read, answer)

    def _read_when_free(self, read: Callable[[Answer], Value], answer: Answer) -> Value:
        with self._turn:
            return read(answer)

    def _read_candidates(self, answer: dict[bytes, bytes]) -> dict[str, frozenset[Candidate]]:
        self._candidates.see(answer)
        self._choices.keep(answer)
        return self._candidates.values

    def _read(self, seen: _Seen) -> CellSnapshot:
        parts = seen.parts
        self._machines.see(parts, seen.parked)
        lanes = self._lanes_of(parts["lanes"], parts["heads"])
        self._profiles.see(dict(numbered(parts["profiles"])))
        self._classes.see(dict(numbered(parts["classes"])))
        return CellSnapshot(
            now_ms=seen.now_ms,
            paused=seen.paused,
            machines=self._machines.states({lane.id: lane.run_s for lane in lanes.values()}),
            lanes=lanes,
            profiles=self._profiles.values,
            classes=self._classes.values,
            fits=self._fits_of(parts["fits"]),
            node_sets=seen.node_sets,
        )

    def _fits_of(self, raw: dict[bytes, bytes]) -> dict[tuple[str, str], bool]:
        if raw != self._fits_seen:
            self._fits_seen = raw
            self._fits = {
                (field[:6].decode(errors="replace"), field[6:].decode(errors="replace")): value != b"0"
                for field, value in raw.items()
            }
        return self._fits

    def _lanes_of(self, raw: dict[bytes, bytes], heads: dict[bytes, bytes]) -> dict[str, LaneState]:
        before, running = self._lanes, self._machines.running

        def read(lane_id: str, value: bytes) -> tuple[_SeenLane, LaneState]:
            seen = _SeenLane(value, heads.get(lane_id.encode()), running.get(lane_id, 0))
            known = before.get(lane_id)
            return known if known is not None and known[0] == seen else (seen, _lane(lane_id, seen))

        self._lanes = _records.read(self._keys["lanes"], numbered(raw), read)
        return {lane_id: lane for lane_id, (_, lane) in self._lanes.items()}


class _Seen(NamedTuple):
    """The parts of a cell as bytes."""

    parts: dict[str, dict[bytes, bytes]]
    parked: frozenset[bytes]
    node_sets: dict[str, frozenset[str]]
    paused: frozenset[str]
    now_ms: int

    @property
    def fields(self) -> int:
        """How many there are to read."""
        return sum(map(len, self.parts.values()))


class _SeenLane(NamedTuple):
    """What a lane is read from: its record, its head, and how many of its jobs are under a lease."""

    record: bytes
    head: bytes | None
    running: int


def _lane(lane_id: str, seen: _SeenLane) -> LaneState:
    record, head = _read_lane(seen.record), seen.head
    return LaneState(
        running=seen.running,
        id=lane_id,
        key=record.key,
        requirement_class=record.requirement_class,
        anchors=read_anchors(record.anchors),
        unfinished=record.live,
        waits=head is not None,
        head="" if head is None else head[:-_AGE].decode(),
        oldest_ms=0 if head is None else int(head[-_AGE:], 16),
        run_s=record.run_s or ASSUMED_RUN_S,
    )


def _profile(_: str, value: bytes) -> MachineProfile:
    return read_profile(_read_profile_record(value).key)


def _class(_: str, value: bytes) -> RequirementClass:
    return read_class(_read_class_record(value).key)


_read_choices = msgspec.msgpack.Decoder(list[StoredChoice]).decode


def _candidates(value: bytes) -> frozenset[Candidate]:
    return frozenset(Candidate(one.lane, one.ready_after_ms, one.preference) for one in _read_choices(value))
