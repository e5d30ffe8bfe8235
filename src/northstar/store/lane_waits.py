"""How many jobs wait in some lanes, since when, which is next, and how many machines may take them. Plain reads of fixed keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from northstar.policy.routing.explain_idle import LaneWait
from northstar.store.snapshots import read_at_once
from northstar.store.valkey import FAULTS, ValkeyClient, translate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.store.keys import CellKeys

#: Characters at the end of a head that are the age of the lane's oldest job, ms since epoch in hexadecimal (`lua/shared/lanes.lua`).
_AGE = 11


async def read_lane_waits(client: ValkeyClient, keys: CellKeys, lanes: Sequence[str]) -> dict[str, LaneWait]:
    """Those of the lanes in which somebody waits, in the order asked. Raises Unavailable."""
    if not lanes:
        return {}
    # A lane's members begin with its id, which is six characters of ASCII; what follows sorts below 0xff.
    counts: list[tuple[Any, ...]] = [
        ("ZLEXCOUNT", keys["waiting"], f"[{lane}", b"(" + lane.encode() + b"\xff") for lane in lanes
    ]
    try:
        heads, *waiting = await read_at_once(client, [("HMGET", keys["heads"], *lanes), *counts])
    except FAULTS as exc:
        raise translate(exc) from exc
    return {
        lane: LaneWait(int(count), int(head[-_AGE:], 16))
        for lane, head, count in zip(lanes, heads, waiting, strict=True)
        if head is not None
    }


async def read_first_jobs(client: ValkeyClient, keys: CellKeys, lane: str, *, count: int) -> list[str]:
    """The ids of the first jobs of a lane, in the order in which they will be taken. Raises Unavailable."""
    return [job for job, _ in await read_jobs_after(client, keys, lane, b"", count=count)]


async def read_jobs_after(
    client: ValkeyClient, keys: CellKeys, lane: str, place: bytes, *, count: int
) -> list[tuple[str, bytes]]:
    """The ids of the jobs of a lane that come after a place, in the order in which they will be taken, each with its own place.

    The empty place is that before all. Raises Unavailable.
    """
    try:
        answer: Any = await client.execute_command(
            "ZRANGEBYLEX",
            keys["waiting"],
            b"(" + place if place else f"[{lane}",
            b"(" + lane.encode() + b"\xff",
            "LIMIT",
            0,
            count,
        )
    except FAULTS as exc:
        raise translate(exc) from exc
    return [(member[_LANE_AND_ORDER:].decode(), member) for member in answer]


async def read_first_job(client: ValkeyClient, keys: CellKeys, lane: str) -> str | None:
    """The id of the job that is next in a lane; None if nobody waits there. Raises Unavailable."""
    first = await read_first_jobs(client, keys, lane, count=1)
    return first[0] if first else None


async def count_placed(client: ValkeyClient, keys: CellKeys, lane: str) -> int:
    """Machines that may take the lane by the latest plans. Raises Unavailable."""
    try:
        return int(
            await client.execute_command("ZLEXCOUNT", keys["rankings"], f"[{lane}", b"(" + lane.encode() + b"\xff")
        )
    except FAULTS as exc:
        raise translate(exc) from exc


async def read_ranked(client: ValkeyClient, keys: CellKeys, lane: str) -> list[str]:
    """The machines that may take the lane, those first to which the cell gives its jobs first; at most as many as it offers one to. Raises Unavailable."""
    try:
        members: Any = await client.execute_command(
            "ZRANGEBYLEX", keys["rankings"], f"[{lane}", b"(" + lane.encode() + b"\xff", "LIMIT", 0, _MOST_RANKED
        )
    except FAULTS as exc:
        raise translate(exc) from exc
    return [member[_LANE_AND_RANK:].decode() for member in members]


#: As many machines as one lane is offered to in turn (`lua/shared/hand_over.lua`).
_MOST_RANKED = 64
#: Characters before a machine's id in `rankings`: six of its lane, eight of its patience, four of its preference.
_LANE_AND_RANK = 18
#: Characters before a job's id in `waiting`: six of its lane, 27 of its order.
_LANE_AND_ORDER = 33
