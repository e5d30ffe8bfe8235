"""Jobs of one index, each with its place in it, so that whoever goes on after any of them leaves nobody out and sees nobody twice.

Plain reads of one key. `list_jobs` tells the place of its last job alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from northstar.store.snapshots import read_at_once
from northstar.store.valkey import FAULTS, ValkeyClient, translate

if TYPE_CHECKING:
    from northstar.store.keys import CellKeys
    from northstar.store.messages import JobIndex

#: Letters before the id in a member of `waiting`: lane and order (`lua/shared/lanes.lua`).
_LANE_AND_ORDER: Final = 33
#: Digits of a score: milliseconds since the epoch.
_MOST_DIGITS: Final = 16


class Placed(NamedTuple):
    """A job, and where it stands in its index."""

    id: str
    place: str


def is_place(index: JobIndex, text: str) -> bool:
    """Whether a place of this index can look so.

    >>> is_place("delayed", "17 job_1"), is_place("delayed", "job_1")
    (True, False)
    """
    if index == "waiting":
        return len(text) > _LANE_AND_ORDER
    score, _, job_id = text.partition(" ")
    return bool(job_id) and score.isascii() and score.isdigit() and len(score) <= _MOST_DIGITS


async def read_placed(
    client: ValkeyClient, keys: CellKeys, index: JobIndex, *, after: str, count: int
) -> tuple[list[Placed], bool]:
    """At most `count` jobs after a place ('': from the beginning), and whether there may be more.

    Those that wait come by lane and order, those that are over the latest first, others by their time. One whose time changes meanwhile
    may come twice.

    Raises:
        Unavailable: the server does not answer.
    """
    try:
        if index == "waiting":
            found = await _waiting(client, keys, after=after, count=count)
        else:
            found = await _by_score(client, keys, index, after=after, count=count)
    except FAULTS as exc:
        raise translate(exc) from exc
    return found, len(found) == count


async def _waiting(client: ValkeyClient, keys: CellKeys, *, after: str, count: int) -> list[Placed]:
    first = f"({after}" if after else "-"
    members: Any = await client.execute_command("ZRANGEBYLEX", keys["waiting"], first, "+", "LIMIT", 0, count)
    return [Placed(text[_LANE_AND_ORDER:], text) for text in (member.decode() for member in members)]


async def _by_score(client: ValkeyClient, keys: CellKeys, index: JobIndex, *, after: str, count: int) -> list[Placed]:
    latest_first = index in {"finished", "dead"}
    command = "ZREVRANGE" if latest_first else "ZRANGE"
    rank = await _rank_behind(client, keys, index, after, latest_first=latest_first) if after else 0
    answer: Any = await client.execute_command(command, keys[index], rank, rank + count - 1, "WITHSCORES")
    return [Placed(member.decode(), f"{int(float(score))} {member.decode()}") for member, score in _pairs(answer)]


async def _rank_behind(client: ValkeyClient, keys: CellKeys, index: JobIndex, after: str, *, latest_first: bool) -> int:
    """Where a member stands or stood among those of its score: they are ordered by text, so half of them is left out each time."""
    key, (score, _, job_id) = keys[index], after.partition(" ")
    bounds = [(end, "+inf") if latest_first else ("-inf", end) for end in (f"({score}", score)]
    low, high = [int(n) for n in await read_at_once(client, [("ZCOUNT", key, *bound) for bound in bounds])]
    command, wanted = "ZREVRANGE" if latest_first else "ZRANGE", job_id.encode()
    while low < high:
        middle = (low + high) // 2
        found: Any = await client.execute_command(command, key, middle, middle)
        if found and (found[0] >= wanted if latest_first else found[0] <= wanted):
            low = middle + 1
        else:
            high = middle
    return low


def _pairs(answer: Any) -> list[tuple[bytes, Any]]:
    """Members and scores, as either protocol gives them."""
    if answer and isinstance(answer[0], bytes):
        return list(zip(answer[::2], answer[1::2], strict=True))
    return [(member, score) for member, score in answer]
