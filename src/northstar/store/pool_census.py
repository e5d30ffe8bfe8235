"""How many machines are in each pool: counted by profile, which the cell does anyway, so that no machine is read but those that ask.

When a fleet dials at once, thousands ask at once. They share a reading: one is on its way at most, and whoever asks meanwhile gets the
next one, so what a fleet costs is a handful of readings, and nobody is told what was so before he asked.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import msgspec

from northstar.domain.machines import read_profile
from northstar.store.messages import MachineRecord, ProfileRecord
from northstar.store.snapshots import read_at_once
from northstar.store.stored_records import StoredRecords, numbered
from northstar.store.valkey import FAULTS, ValkeyClient, translate

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from northstar.store.keys import CellKeys

Read = TypeVar("Read")

_records = StoredRecords()
_read_machine = msgspec.msgpack.Decoder(MachineRecord).decode
_read_profile_record = msgspec.msgpack.Decoder(ProfileRecord).decode
_NOWHERE: Final[tuple[str, ...]] = ()


class Census(msgspec.Struct, frozen=True, kw_only=True):
    """Registered machines by pool, and the pools of those machines that asked; who is not registered has none."""

    machines: Mapping[str, int]
    pools: Mapping[str, tuple[str, ...]]

    def others(self, machine: str) -> dict[str, int]:
        """Machines by pool without this one, which asked."""
        own = self.pools.get(machine, _NOWHERE)
        return {pool: count - (pool in own) for pool, count in self.machines.items()}


class PoolCensus:
    """Of one cell, for one process. Raises Unavailable, to all who share a reading, when the server does not answer."""

    def __init__(self, client: ValkeyClient, keys: CellKeys) -> None:
        self._client = client
        self._keys = keys
        self._asking: set[str] = set()
        self._counting = _Shared(self._count)
        self._listing = _Shared(self._list)
        #: Profile -> its text, and the pools that it names; of those that are there.
        self._known: dict[str, tuple[str, tuple[str, ...]]] = {}

    async def taken_for(self, machine: str) -> Census:
        """What is so at some moment after this call."""
        self._asking.add(machine)
        return await self._counting.read()

    async def members(self) -> dict[str, list[str]]:
        """Machines by pool in the order in which they came to the cell, at some moment after this call. Every machine is read."""
        return await self._listing.read()

    async def _count(self) -> Census:
        asking, self._asking = sorted(self._asking), set()
        keys = self._keys
        try:
            stored, own = await read_at_once(
                self._client, [("HGETALL", keys["profiles"]), ("HMGET", keys["machines"], *asking)]
            )
        except FAULTS as exc:
            raise translate(exc) from exc
        profiles = self._profiles(stored)
        counts: Counter[str] = Counter()
        for record, pools in profiles.values():
            counts.update(dict.fromkeys(pools, record.machines))
        found = [(name.encode(), packed) for name, packed in zip(asking, own, strict=True) if packed]
        machines = _records.read(keys["machines"], found, lambda _, packed: _read_machine(packed))
        return Census(
            machines=counts,
            pools={name: profiles[one.profile][1] for name, one in machines.items() if one.profile in profiles},
        )

    async def _list(self) -> dict[str, list[str]]:
        keys = self._keys
        try:
            stored, machines = await read_at_once(
                self._client, [("HGETALL", keys["profiles"]), ("HGETALL", keys["machines"])]
            )
        except FAULTS as exc:
            raise translate(exc) from exc
        profiles = self._profiles(stored)
        read = _records.read(keys["machines"], machines.items(), lambda _, packed: _read_machine(packed))
        members: dict[str, list[str]] = {}
        # Numbers are given one after the other and have six digits each, so their text sorts as they came.
        for name, one in sorted(read.items(), key=lambda entry: entry[1].number):
            for pool in profiles[one.profile][1] if one.profile in profiles else _NOWHERE:
                members.setdefault(pool, []).append(name)
        return members

    def _profiles(self, stored: Mapping[bytes, bytes]) -> dict[str, tuple[ProfileRecord, tuple[str, ...]]]:
        """Profile -> its record, and the pools that it names: read once, since a profile stays what it is."""
        known = self._known

        def read(name: str, packed: bytes) -> tuple[ProfileRecord, tuple[str, ...]]:
            record = _read_profile_record(packed)
            before = known.get(name)
            same = before is not None and before[0] == record.key
            return record, before[1] if before is not None and same else read_profile(record.key).pools

        found = _records.read(self._keys["profiles"], numbered(stored), read)
        self._known = {name: (record.key, pools) for name, (record, pools) in found.items()}
        return found


class _Shared(Generic[Read]):
    """One reading for all who ask before it begins; who asks while one is on its way gets the next."""

    def __init__(self, reading: Callable[[], Awaitable[Read]]) -> None:
        self._reading = reading
        self._now: asyncio.Task[Read] | None = None
        self._next: asyncio.Task[Read] | None = None

    async def read(self) -> Read:
        """What is read after this call."""
        if self._next is None:
            self._next = asyncio.create_task(self._after(self._now))
            self._next.add_done_callback(_seen)
        # Whoever gives up takes the answer from nobody else.
        return await asyncio.shield(self._next)

    async def _after(self, before: asyncio.Task[Read] | None) -> Read:
        if before is not None:
            await asyncio.wait({before})
        self._now, self._next = self._next, None
        return await self._reading()


def _seen(task: asyncio.Task[Read]) -> None:
    """An error is told to those who wait; if all have given up, to nobody."""
    if not task.cancelled():
        task.exception()
