"""Reading a cell as policy wants to see it. Plain reads of fixed keys; nothing is changed, nothing is locked.

The parts are read one after another, so they may differ by what happened in between; the function library checks every fact
again when policy's decision is committed.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from valkey.asyncio.cluster import ValkeyCluster

from northstar.domain.machines import MachineDescription, read_profile
from northstar.domain.models import ModelHeld
from northstar.domain.requirements import read_anchors, read_class
from northstar.policy.routing.snapshot import CellSnapshot, LaneState, MachineState
from northstar.store.messages import Candidate, ClassRecord, LaneRecord, MachineRecord
from northstar.store.valkey import FAULTS, ValkeyClient, translate

if TYPE_CHECKING:
    from northstar.store.keys import CellKeys

Record = TypeVar("Record")

_READ = ("lanes", "classes", "profiles", "fits", "machines", "descriptions", "residency", "heads")


def _records(raw: dict[bytes, bytes], kind: type[Record]) -> dict[str, Record]:
    """Numbered records; the entries 'k' + text that lead to them are left out."""
    decode = msgspec.msgpack.Decoder(kind).decode
    return {field.decode(): decode(value) for field, value in raw.items() if not field.startswith(b"k")}


def _machine(
    machine_id: str, record: MachineRecord, *, parked: bool, description: bytes, residency: bytes | None
) -> MachineState:
    models = msgspec.msgpack.decode(residency, type=list[ModelHeld]) if residency else []
    try:
        told = msgspec.json.decode(description, type=MachineDescription)
    except msgspec.MsgspecError:
        # What a machine says of itself is not checked when it says it; nonsense costs it its figures, not others their plan.
        told = MachineDescription()
    return MachineState(
        id=machine_id,
        profile=record.profile,
        slots=record.slots,
        used=record.used,
        active=record.status == "active",
        parked=parked,
        download_bytes_per_s=told.download_bytes_per_s,
        held={model.name: model.state for model in models},
    )


async def _read_at_once(client: ValkeyClient, commands: list[tuple[Any, ...]]) -> list[Any]:
    """Answers to several reads of one cell: in one round trip, or side by side where the client is a cluster's.

    A cluster client that never repeats a command does not run pipelines.
    """
    if isinstance(client, ValkeyCluster):
        return await asyncio.gather(*(client.execute_command(*command) for command in commands))
    pipeline = client.pipeline(transaction=False)
    for command in commands:
        pipeline.execute_command(*command)
    return list(await pipeline.execute())


async def read_snapshot(client: ValkeyClient, keys: CellKeys) -> CellSnapshot:
    """The cell now. Raises Unavailable when the server does not answer."""
    try:
        *parts, parked_ids = await _read_at_once(
            client, [*(("HGETALL", keys[name]) for name in _READ), ("ZRANGE", keys["parked"], 0, -1)]
        )
    except FAULTS as exc:
        raise translate(exc) from exc
    lanes, classes, profiles, fits, machines, descriptions, residency, heads = parts
    parked = set(parked_ids)
    decode_machine = msgspec.msgpack.Decoder(MachineRecord).decode
    return CellSnapshot(
        machines={
            field.decode(): _machine(
                field.decode(),
                decode_machine(value),
                parked=field in parked,
                description=descriptions.get(field, b"{}"),
                residency=residency.get(field),
            )
            for field, value in machines.items()
        },
        lanes={
            lane_id: LaneState(
                id=lane_id,
                key=record.key,
                requirement_class=record.requirement_class,
                anchors=read_anchors(record.key),
                unfinished=record.live,
                waits=lane_id.encode() in heads,
            )
            for lane_id, record in _records(lanes, LaneRecord).items()
        },
        profiles={profile_id: read_profile(record[0]) for profile_id, record in _records(profiles, list[str]).items()},
        classes={class_id: read_class(record.key) for class_id, record in _records(classes, ClassRecord).items()},
        fits={(field[:6].decode(), field[6:].decode()): value == b"1" for field, value in fits.items()},
    )


#: Candidates as the cell keeps them: lane, ready-after in ms, VRAM in MB of the lane, preference.
_read_choices = msgspec.msgpack.Decoder(list[tuple[str, int, int, int]]).decode


async def read_candidates(client: ValkeyClient, keys: CellKeys) -> dict[str, frozenset[Candidate]]:
    """What each machine may take at present, whoever wrote it. Raises Unavailable when the server does not answer."""
    try:
        answer: Any = await client.execute_command("HGETALL", keys["candidates"])
    except FAULTS as exc:
        raise translate(exc) from exc
    return {
        machine.decode(): frozenset(Candidate(lane, wait_ms, rank) for lane, wait_ms, _, rank in _read_choices(choices))
        for machine, choices in dict(answer).items()
    }
