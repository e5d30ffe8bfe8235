"""How many machines are in each pool: counted by profile, which the cell does anyway, so that no machine is read but one."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from northstar.domain.machines import read_profile
from northstar.store.messages import MachineRecord, ProfileRecord
from northstar.store.snapshots import read_at_once
from northstar.store.stored_records import StoredRecords, numbered
from northstar.store.valkey import FAULTS, ValkeyClient, translate

if TYPE_CHECKING:
    from northstar.store.keys import CellKeys

_records = StoredRecords()
_read_machine = msgspec.msgpack.Decoder(MachineRecord).decode
_read_profile_record = msgspec.msgpack.Decoder(ProfileRecord).decode


async def count_others(client: ValkeyClient, keys: CellKeys, machine: str) -> Counter[str]:
    """Registered machines by pool, without this one. Raises Unavailable when the server does not answer.

    Two machines that register at the same moment may both be the last that a pool may have.
    """
    try:
        stored, own = await read_at_once(
            client, [("HGETALL", keys["profiles"]), ("HGET", keys["machines"], machine.encode())]
        )
    except FAULTS as exc:
        raise translate(exc) from exc
    profiles = _records.read(keys["profiles"], numbered(stored), lambda _, value: _read_profile_record(value))
    own_record = _records.read(
        keys["machines"], [(machine.encode(), own)] if own else [], lambda _, value: _read_machine(value)
    )
    counts: Counter[str] = Counter()
    for profile_id, record in profiles.items():
        itself = any(one.profile == profile_id for one in own_record.values())
        for pool in _pools_of(record):
            counts[pool] += max(0, record.machines - itself)
    return counts


def _pools_of(record: ProfileRecord) -> tuple[str, ...]:
    return read_profile(record.key).pools
