"""Reading a cell as policy wants to see it. Plain reads of fixed keys; nothing is changed, nothing is locked.

The parts are read one after another, so they may differ by what happened in between; the function library checks every fact
again when policy's decision is committed.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
from valkey.asyncio.cluster import ValkeyCluster

from northstar.domain.machines import MachineDescription, read_profile
from northstar.domain.models import ModelHeld
from northstar.domain.requirements import read_anchors, read_class
from northstar.policy.routing.snapshot import ASSUMED_RUN_S, CellSnapshot, LaneState, MachineState
from northstar.store.fetches import fetches_by_machine
from northstar.store.messages import Candidate, ClassRecord, LaneRecord, MachineRecord, ProfileRecord
from northstar.store.node_sets import read_node_sets
from northstar.store.stored_records import StoredRecords, numbered
from northstar.store.valkey import FAULTS, ValkeyClient, translate

if TYPE_CHECKING:
    from northstar.domain.machines import MachineProfile
    from northstar.domain.requirements import RequirementClass
    from northstar.store.keys import CellKeys

_READ = ("lanes", "classes", "profiles", "fits", "machines", "descriptions", "residency", "fetches", "heads")
#: Characters at the end of a head that are the age of the lane's oldest job; those before them are the order of its first.
_AGE = 11
#: Decoding fewer fields than this takes less than handing it to a thread pays.
_FEW_FIELDS = 200

_records = StoredRecords()
_read_machine = msgspec.msgpack.Decoder(MachineRecord).decode
_read_lane = msgspec.msgpack.Decoder(LaneRecord).decode
_read_class_record = msgspec.msgpack.Decoder(ClassRecord).decode
_read_profile_record = msgspec.msgpack.Decoder(ProfileRecord).decode
_read_description = msgspec.json.Decoder(MachineDescription).decode
_read_models = msgspec.msgpack.Decoder(list[ModelHeld]).decode
_read_each = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
_read_model = msgspec.msgpack.Decoder(ModelHeld).decode


async def read_snapshot(client: ValkeyClient, keys: CellKeys) -> CellSnapshot:
    """The cell now; records that this version cannot read are left out. Raises Unavailable when the server does not answer."""
    others = [("ZRANGE", keys["parked"], 0, -1), ("HKEYS", keys["node_sets"]), ("HGET", keys["meta"], "hot")]
    try:
        *parts, parked, digests, hot = await read_at_once(
            client, [*(("HGETALL", keys[name]) for name in _READ), *others]
        )
        node_sets = await read_node_sets(client, keys, digests)
    except FAULTS as exc:
        raise translate(exc) from exc
    stored = _StoredCell(keys, dict(zip(_READ, parts, strict=True)), frozenset(parked), node_sets, now_ms=_now_ms(hot))
    if sum(map(len, parts)) < _FEW_FIELDS:
        return stored.snapshot()
    return await asyncio.to_thread(stored.snapshot)


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


class _StoredCell:
    """The parts of a cell as bytes."""

    def __init__(
        self,
        keys: CellKeys,
        parts: dict[str, dict[bytes, bytes]],
        parked: frozenset[bytes],
        node_sets: dict[str, frozenset[str]],
        *,
        now_ms: int,
    ) -> None:
        self._keys = keys
        self._node_sets = node_sets
        self._now_ms = now_ms
        self._fetching = fetches_by_machine(keys["fetches"], parts["fetches"])
        self._parts = parts
        self._parked = parked
        self._run_s: dict[str, float] = {}
        self._running: Counter[str] = Counter()
        # Machines that are alike say the same, byte for byte: read once.
        self._described: dict[bytes, MachineDescription] = {}
        self._holding: dict[bytes, dict[str, str]] = {}

    def snapshot(self) -> CellSnapshot:
        """What can be read of it."""
        keys, parts = self._keys, self._parts
        records = _records.read(keys["machines"], parts["machines"].items(), lambda _, value: _read_machine(value))
        for record in records.values():
            self._running.update(dict(record.work))
        lanes = _records.read(keys["lanes"], numbered(parts["lanes"]), self._lane)
        self._run_s = {lane.id: lane.run_s for lane in lanes.values()}
        return CellSnapshot(
            now_ms=self._now_ms,
            machines={name: self._machine(name, record) for name, record in records.items()},
            lanes=lanes,
            profiles=_records.read(keys["profiles"], numbered(parts["profiles"]), _profile),
            classes=_records.read(keys["classes"], numbered(parts["classes"]), _class),
            fits={
                (field[:6].decode(errors="replace"), field[6:].decode(errors="replace")): value != b"0"
                for field, value in parts["fits"].items()
            },
            node_sets=self._node_sets,
        )

    def _machine(self, machine_id: str, record: MachineRecord) -> MachineState:
        field = machine_id.encode()
        description = self._description(field)
        return MachineState(
            id=machine_id,
            profile=record.profile,
            slots=record.slots,
            used=record.used,
            active=record.status == "active",
            parked=field in self._parked,
            download_bytes_per_s=description.download_bytes_per_s,
            held=self._held(field),
            fetching=self._fetching.get(machine_id, {}),
            vram_free_mb=max(0, record.vram_mb - record.vram_used_mb),
            work_ahead_s=sum(count * self._run_s.get(lane, ASSUMED_RUN_S) for lane, count in record.work),
            description=description,
        )

    def _description(self, field: bytes) -> MachineDescription:
        """What a machine says of itself is not checked when it says it; nonsense costs it its figures, not others their plan."""
        text = self._parts["descriptions"].get(field)
        if text is None:
            return MachineDescription()
        if text not in self._described:
            read = _records.read(self._keys["descriptions"], [(field, text)], lambda _, text: _read_description(text))
            self._described[text] = next(iter(read.values()), MachineDescription())
        return self._described[text]

    def _held(self, field: bytes) -> dict[str, str]:
        """Model -> where it is; a model whose entry cannot be read counts as absent."""
        entries = self._parts["residency"].get(field)
        if entries is None:
            return {}
        if entries not in self._holding:
            try:
                models = _read_models(entries)
            except msgspec.MsgspecError:
                models = self._readable_models(field, entries)
            self._holding[entries] = {model.name: model.state for model in models}
        return self._holding[entries]

    def _readable_models(self, field: bytes, entries: bytes) -> list[ModelHeld]:
        key = self._keys["residency"]
        lists = _records.read(key, [(field, entries)], lambda _, packed: _read_each(packed))
        packed = [(field, bytes(entry)) for found in lists.values() for entry in found]
        held = (_records.read(key, [entry], lambda _, text: _read_model(text)) for entry in packed)
        return [model for found in held for model in found.values()]

    def _lane(self, lane_id: str, value: bytes) -> LaneState:
        record, head = _read_lane(value), self._parts["heads"].get(lane_id.encode())
        return LaneState(
            running=self._running.get(lane_id, 0),
            id=lane_id,
            key=record.key,
            requirement_class=record.requirement_class,
            anchors=read_anchors(record.anchors),
            unfinished=record.live,
            waits=head is not None,
            head="" if head is None else head[:-_AGE].decode(),
            run_s=record.run_s or ASSUMED_RUN_S,
        )


def _profile(_: str, value: bytes) -> MachineProfile:
    return read_profile(_read_profile_record(value).key)


def _class(_: str, value: bytes) -> RequirementClass:
    return read_class(_read_class_record(value).key)


class _Choice(msgspec.Struct, frozen=True, array_like=True):
    """A candidate as the cell keeps it."""

    lane: str
    ready_after_ms: int
    vram_mb: int
    preference: int


_read_choices = msgspec.msgpack.Decoder(list[_Choice]).decode


async def read_candidates(client: ValkeyClient, keys: CellKeys) -> dict[str, frozenset[Candidate]]:
    """What each machine may take at present, whoever wrote it. Raises Unavailable when the server does not answer."""
    try:
        answer: dict[bytes, bytes] = await client.execute_command("HGETALL", keys["candidates"])
    except FAULTS as exc:
        raise translate(exc) from exc

    alike: dict[bytes, frozenset[Candidate]] = {}

    def candidates(_: str, value: bytes) -> frozenset[Candidate]:
        """Machines that are alike may take the same, byte for byte: read once."""
        if value not in alike:
            alike[value] = _candidates(value)
        return alike[value]

    def decoded() -> dict[str, frozenset[Candidate]]:
        return _records.read(keys["candidates"], answer.items(), candidates)

    return decoded() if len(answer) < _FEW_FIELDS else await asyncio.to_thread(decoded)


def _candidates(value: bytes) -> frozenset[Candidate]:
    return frozenset(Candidate(one.lane, one.ready_after_ms, one.preference) for one in _read_choices(value))
