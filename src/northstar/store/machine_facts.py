"""What the history keeps of a machine: read from the cell while it is there, several machines at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from northstar.domain.gpu_classes import gpu_class_of
from northstar.domain.machines import MachineDescription, read_profile
from northstar.store.messages import MachineRecord, ProfileRecord
from northstar.store.stored_records import UNREADABLE
from northstar.store.valkey import FAULTS, ValkeyClient, translate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.store.keys import CellKeys


#: Bytes of a GPU's or region's name, and pools, that are kept.
_MOST_BYTES: Final = 96
_MOST_POOLS: Final = 16


class MachineFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A machine as it described itself last. None is "not known": a price of 0 is none, for nobody said it."""

    gpu: str = ""
    gpu_class: str = ""
    region: str | None = None
    price_usd_per_hour: float | None = None
    link_bytes_per_s: float | None = None
    vram_mb: int | None = None
    pools: tuple[str, ...] = ()


async def read_machine_facts(client: ValkeyClient, keys: CellKeys, machines: Sequence[str]) -> dict[str, MachineFacts]:
    """Those of the machines that are there, and can be read by this version. Raises Unavailable."""
    if not machines:
        return {}
    names = [machine.encode() for machine in machines]
    try:
        described = await client.execute_command("HMGET", keys["descriptions"], *names)
        packed = await client.execute_command("HMGET", keys["machines"], *names)
        records = [_record(one) for one in packed]
        profiles = sorted({record.profile for record in records if record is not None})
        texts = await client.execute_command("HMGET", keys["profiles"], *profiles) if profiles else []
    except FAULTS as exc:
        raise translate(exc) from exc
    pools = {profile: _pools(text) for profile, text in zip(profiles, texts, strict=True)}
    found: dict[str, MachineFacts] = {}
    for machine, said, record in zip(machines, described, records, strict=True):
        if said is not None and record is not None and (description := _description(said)) is not None:
            found[machine] = facts_of(description, vram_mb=record.vram_mb, pools=pools.get(record.profile, ()))
    return found


def facts_text(said: MachineDescription, *, vram_mb: int, pools: Sequence[str]) -> str:
    """What the event of its coming says of a machine, JSON of less than a kilobyte; `read_facts` reads it."""
    facts = facts_of(said, vram_mb=vram_mb, pools=tuple(pools[:_MOST_POOLS]))
    return msgspec.json.encode(facts).decode()


def read_facts(text: object) -> MachineFacts | None:
    """What the event of its coming said of a machine; None where it says nothing that this version can read."""
    try:
        return msgspec.json.decode(text, type=MachineFacts) if isinstance(text, str) else None
    except UNREADABLE:
        return None


def facts_of(said: MachineDescription, *, vram_mb: int, pools: tuple[str, ...]) -> MachineFacts:
    """What is kept of a description."""
    gpu = _cut(said.gpu or (said.gpus[0].name if said.gpus else ""))
    return MachineFacts(
        gpu=gpu,
        gpu_class=gpu_class_of(gpu),
        region=_cut(said.region) or None,
        price_usd_per_hour=said.price_usd_per_hour or None,
        link_bytes_per_s=said.download_bytes_per_s or None,
        vram_mb=vram_mb or None,
        pools=pools,
    )


def _cut(text: str) -> str:
    return text.encode(errors="replace")[:_MOST_BYTES].decode(errors="ignore")


def _record(packed: Any) -> MachineRecord | None:
    if packed is None:
        return None
    try:
        return msgspec.msgpack.decode(packed, type=MachineRecord)
    except UNREADABLE:
        return None


def _description(text: bytes) -> MachineDescription | None:
    try:
        return msgspec.json.decode(text, type=MachineDescription)
    except UNREADABLE:
        return None


def _pools(packed: Any) -> tuple[str, ...]:
    if packed is None:
        return ()
    try:
        return tuple(read_profile(msgspec.msgpack.decode(packed, type=ProfileRecord).key).pools)
    except UNREADABLE:
        return ()
