"""How many waiting jobs of some lanes come before a place in the queue's order. Plain reads of one key, O(log jobs) a lane."""

from __future__ import annotations

from typing import TYPE_CHECKING

from northstar.store.snapshots import read_at_once
from northstar.store.valkey import FAULTS, ValkeyClient, translate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.store.keys import CellKeys


async def count_before(
    client: ValkeyClient, keys: CellKeys, *, lanes: Sequence[str], order: str, job_id: str
) -> list[int]:
    """For each lane, its jobs that are taken before a job with this order. Raises Unavailable.

    `waiting` holds lane, order and id as one text each, so those before are a range of it (`lua/shared/lanes.lua`).
    """
    if not lanes:
        return []
    commands = [("ZLEXCOUNT", keys["waiting"], f"[{lane}", f"({lane}{order}{job_id}") for lane in lanes]
    try:
        return [int(count) for count in await read_at_once(client, commands)]
    except FAULTS as exc:
        raise translate(exc) from exc
