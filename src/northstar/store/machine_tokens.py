"""The token by which one machine joined, without its secret: two plain reads, however many machines have joined."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from northstar.domain.admission import TokenStatus
from northstar.store.stored_records import UNREADABLE
from northstar.store.valkey import FAULTS, ValkeyClient, translate

if TYPE_CHECKING:
    from northstar.store.keys import CellKeys


class MachineToken(msgspec.Struct, frozen=True, kw_only=True):
    """How a machine stands that joined by an invite; `by` decided last, `seen_ms` is when it registered or left last."""

    machine: str
    status: TokenStatus
    pools: tuple[str, ...]
    seen_ms: int
    by: str


async def read_machine_token(client: ValkeyClient, keys: CellKeys, machine: str) -> MachineToken | None:
    """The machine's latest token; None if none of that name has joined, or this version cannot read it. Raises Unavailable."""
    try:
        token: Any = await client.execute_command("HGET", keys["tokens"], f"\0{machine}")
        packed = None if token is None else await client.execute_command("HGET", keys["tokens"], token)
    except FAULTS as exc:
        raise translate(exc) from exc
    if packed is None:
        return None
    try:
        record = _read(packed)
    except UNREADABLE:
        return None
    return MachineToken(
        machine=record.machine,
        status=record.status,
        pools=tuple(record.pools),
        seen_ms=int(record.seen_ms),
        by=record.by,
    )


class _TokenRecord(msgspec.Struct, array_like=True):
    """The first fields of a token's packed record; positions as `ns.K` in `lua/shared/records.lua`."""

    secret: str
    machine: str
    status: TokenStatus
    pools: list[str]
    region: str
    tags: list[str]
    dedicated_to: str
    invite: str
    joined_ms: float
    seen_ms: float
    by: str


_read = msgspec.msgpack.Decoder(_TokenRecord).decode
