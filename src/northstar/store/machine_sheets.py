"""Everything that a cell knows of one machine, for people. Plain reads of fixed keys; nothing is changed, nothing is locked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from northstar.domain.machines import MachineDescription, MachineProfile, read_profile
from northstar.domain.models import ModelHeld
from northstar.domain.refusals import NoSuchMachine
from northstar.store.fetches import read_times
from northstar.store.messages import MachineRecord, ProfileRecord
from northstar.store.snapshots import read_at_once
from northstar.store.stored_records import UNREADABLE
from northstar.store.valkey import FAULTS, ValkeyClient, translate

if TYPE_CHECKING:
    from collections.abc import Callable

    from northstar.store.keys import CellKeys

T = TypeVar("T")
D = TypeVar("D")


class Fetch(msgspec.Struct, frozen=True, kw_only=True):
    """A model that the machine fetches. Times of the cell's clock; `size_bytes` 0 is unknown."""

    model: str
    started_ms: int
    expected_ms: int
    size_bytes: int


class MachineSheet(msgspec.Struct, frozen=True, kw_only=True):
    """One machine. `profile` is None when a newer version wrote it in a way that this one cannot read."""

    id: str
    status: str
    slots: int
    used: int
    waits_for_work: bool
    registered_ms: int
    vram_mb: int
    vram_used_mb: int
    profile: MachineProfile | None
    description: MachineDescription
    held: tuple[ModelHeld, ...]
    fetching: tuple[Fetch, ...]


async def read_machine_sheet(client: ValkeyClient, keys: CellKeys, machine: str) -> MachineSheet:
    """The machine now; what this version cannot read of it is left out.

    Raises:
        NoSuchMachine: it is not registered. Unavailable: the server does not answer.
    """
    name = machine.encode()
    hashes = ("machines", "descriptions", "residency", "fetches")
    packed, described, models, fetched, parked = await _answers(
        client, [*(("HGET", keys[part], name) for part in hashes), ("ZSCORE", keys["parked"], name)]
    )
    record = _read(packed, _read_machine, None)
    if record is None:
        raise NoSuchMachine({"machine": machine})
    names = _read(fetched, _read_names, list[str]())
    details = await _answers(
        client,
        [
            ("HGET", keys["profiles"], record.profile.encode()),
            *(("HGET", keys["fetches"], name + b"\0" + model.encode()) for model in names),
        ],
    )
    return MachineSheet(
        id=machine,
        status=record.status,
        slots=record.slots,
        used=record.used,
        waits_for_work=parked is not None,
        registered_ms=record.registered_ms,
        vram_mb=record.vram_mb,
        vram_used_mb=record.vram_used_mb,
        profile=_read(details[0], _profile, None),
        description=_read(described, _read_description, MachineDescription()),
        held=_held(models),
        fetching=tuple(
            Fetch(model=model, started_ms=times[0], expected_ms=times[1], size_bytes=times[2])
            for model, answer in zip(names, details[1:], strict=True)
            if (times := _read(answer, read_times, None))  # one that ended meanwhile is no more
        ),
    )


_read_machine = msgspec.msgpack.Decoder(MachineRecord).decode
_read_description = msgspec.json.Decoder(MachineDescription).decode
_read_profile_record = msgspec.msgpack.Decoder(ProfileRecord).decode
_read_names = msgspec.msgpack.Decoder(list[str]).decode
_read_each = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
_read_held = msgspec.msgpack.Decoder(ModelHeld).decode


def _profile(packed: bytes) -> MachineProfile:
    return read_profile(_read_profile_record(packed).key)


def _held(packed: bytes | None) -> tuple[ModelHeld, ...]:
    nothing: list[msgspec.Raw] = []
    each = (_read(bytes(entry), _read_held, None) for entry in _read(packed, _read_each, nothing))
    return tuple(model for model in each if model is not None)


def _read(packed: bytes | None, decode: Callable[[bytes], T], otherwise: D) -> T | D:
    """What can be read, else the other thing."""
    if packed is None:
        return otherwise
    try:
        return decode(packed)
    except UNREADABLE:
        return otherwise


async def _answers(client: ValkeyClient, commands: list[tuple[Any, ...]]) -> list[Any]:
    try:
        return await read_at_once(client, commands)
    except FAULTS as exc:
        raise translate(exc) from exc
