"""What machines may take of some lanes already, read before a submission says it again: each candidate that it writes costs the cell a list."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from northstar.store.messages import Candidate, StoredChoice
from northstar.store.snapshots import read_at_once
from northstar.store.stored_records import UNREADABLE
from northstar.store.valkey import FAULTS, ValkeyClient, translate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from northstar.store.keys import CellKeys

_read_choices = msgspec.msgpack.Decoder(list[StoredChoice]).decode


async def read_standing(
    client: ValkeyClient, keys: CellKeys, machines: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, Candidate]]:
    """Lane -> machine -> the candidate that stands in the cell, of these machines; `machines` are asked for by the id of a lane.

    What this version cannot read counts as not there. Raises Unavailable when the server does not answer.
    """
    wanted = {lane: names for lane, names in machines.items() if names}
    if not wanted:
        return {}
    try:
        answers = await read_at_once(client, [("HMGET", keys["candidates"], *names) for names in wanted.values()])
    except FAULTS as exc:
        raise translate(exc) from exc
    return {
        lane: {name: found for name, packed in zip(names, answer, strict=True) if (found := _of_lane(lane, packed))}
        for (lane, names), answer in zip(wanted.items(), answers, strict=True)
    }


def _of_lane(lane: str, packed: bytes | None) -> Candidate | None:
    if packed is None:
        return None
    try:
        choices = _read_choices(packed)
    except UNREADABLE:
        return None
    return next((Candidate(one.lane, one.ready_after_ms, one.preference) for one in choices if one.lane == lane), None)
