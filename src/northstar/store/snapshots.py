"""Reading a cell as policy wants to see it. Plain reads of fixed keys; nothing is changed, nothing is locked.

The parts are read one after another, so they may differ by what happened in between; the function library checks every fact
again when policy's decision is committed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from northstar.domain.machines import MachineDescription, read_profile
from northstar.domain.models import ModelHeld
from northstar.domain.requirements import read_anchors, read_class
from northstar.policy.routing.snapshot import CellSnapshot, LaneState, MachineState
from northstar.store.messages import ClassRecord, LaneRecord, MachineRecord
from northstar.store.valkey import FAULTS, ValkeyClient, translate

if TYPE_CHECKING:
    from northstar.store.keys import CellKeys

Record = TypeVar("Record")

_READ = ("lanes", "classes", "profiles", "fits", "machines", "descriptions", "residency")


def _records(raw: dict[bytes, bytes], kind: type[Record]) -> dict[str, Record]:
    """Numbered records; the entries 'k' + text that lead to them are left out."""
    decode = msgspec.msgpack.Decoder(kind).decode
    return {field.decode(): decode(value) for field, value in raw.items() if not field.startswith(b"k")}


def _machine(
    machine_id: str, record: MachineRecord, *, parked: bool, description: bytes, residency: bytes | None
) -> MachineState:
    models = msgspec.msgpack.decode(residency, type=list[ModelHeld]) if residency else []
    told = msgspec.json.decode(description, type=MachineDescription)
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


async def read_snapshot(client: ValkeyClient, keys: CellKeys) -> CellSnapshot:
    """The cell now. Raises Unavailable when the server does not answer."""
    try:
        reading: Any = client.pipeline(transaction=False)
        for name in _READ:
            reading.hgetall(keys[name])
        reading.zrange(keys["parked"], 0, -1)
        *parts, parked_ids = await reading.execute()
    except FAULTS as exc:
        raise translate(exc) from exc
    lanes, classes, profiles, fits, machines, descriptions, residency = parts
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
            )
            for lane_id, record in _records(lanes, LaneRecord).items()
        },
        profiles={profile_id: read_profile(record[0]) for profile_id, record in _records(profiles, list[str]).items()},
        classes={class_id: read_class(record.key) for class_id, record in _records(classes, ClassRecord).items()},
        fits={(field[:6].decode(), field[6:].decode()): value == b"1" for field, value in fits.items()},
    )
