"""Signs of life of a cell's brokers, and which machines each of them holds.

A number for each broker in a hash of its own beside the cell's keys: no function needs it, it may be lost at any time, and then
nobody is judged. `policy/fleet/broker_beats.py` says what follows from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from northstar.store.messages import MachineRecord
from northstar.store.snapshots import read_at_once
from northstar.store.stored_records import StoredRecords
from northstar.store.valkey import FAULTS, translate
from northstar.store.valkey.identity import ask_node_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from northstar.store.cell import Cell

#: Machines that are read in one round.
PER_ROUND: Final = 500

_records = StoredRecords()
_read_machine = msgspec.msgpack.Decoder(MachineRecord).decode


class HeldMachine(msgspec.Struct, frozen=True, kw_only=True):
    """A machine whose bells reach it through `holder`, and how many slots of it are in use."""

    id: str
    session: str
    holder: str
    used: int


def beats_key(cell: Cell) -> bytes:
    """Where the numbers are; in the slot of the cell."""
    return f"ns:{{{cell.name}}}:beats".encode()


async def beat(cell: Cell, broker: str) -> dict[str, int]:
    """Count up this broker's number; gives the numbers of the others.

    Raises:
        Unavailable: the server does not answer, or takes nothing in. Then this broker knows nothing of the others either.
    """
    key = beats_key(cell)
    try:
        _, numbers = await read_at_once(cell.client, [("HINCRBY", key, broker, 1), ("HGETALL", key)])
    except FAULTS as exc:
        raise translate(exc) from exc
    return {name.decode(errors="replace"): int(number) for name, number in numbers.items() if name != broker.encode()}


async def end_beats(cell: Cell, broker: str) -> bool:
    """Take a broker's number away; of several who do so at once, one is told that it was there. Raises Unavailable."""
    try:
        return bool(await cell.client.execute_command("HDEL", beats_key(cell), broker))
    except FAULTS as exc:
        raise translate(exc) from exc


async def heard_brokers(cell: Cell, brokers: Sequence[str]) -> frozenset[str]:
    """Those of the brokers that listen to their bells. A connection ends with its process, so one that was killed does not.

    Raises:
        Unavailable: the server does not answer.
    """
    if not brokers:
        return frozenset()
    channels = [cell.keys.bell(broker) for broker in brokers]
    try:
        answer: Any = await ask_node_of(cell.client, cell.keys["meta"], "PUBSUB", "SHARDNUMSUB", *channels)
    except FAULTS as exc:
        raise translate(exc) from exc
    return frozenset(broker for broker, listeners in zip(brokers, answer[1::2], strict=True) if int(listeners))


async def machines_held_by(cell: Cell, brokers: Collection[str]) -> list[HeldMachine]:
    """The machines whose records name one of these brokers, those at work first. Reads all machines, a round at a time.

    Raises:
        Unavailable: the server does not answer.
    """
    key, cursor = cell.keys["machines"], 0
    found: dict[str, HeldMachine] = {}
    while True:
        try:
            cursor, packed = await cell.client.execute_command("HSCAN", key, cursor, "COUNT", PER_ROUND)
        except FAULTS as exc:
            raise translate(exc) from exc
        records = _records.read(key, packed.items(), lambda _, value: _read_machine(value))
        for name, record in records.items():
            if record.holder in brokers:
                found[name] = HeldMachine(id=name, session=record.session, holder=record.holder, used=record.used)
        if not int(cursor):
            return sorted(found.values(), key=lambda machine: (-machine.used, machine.id))
