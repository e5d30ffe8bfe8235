"""Which parts of a cell are paused. A plain read of one key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from northstar.store.valkey import FAULTS, ValkeyClient, translate

if TYPE_CHECKING:
    from northstar.store.keys import CellKeys


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """A scope ('cell' or 'pool:NAME') of which nothing is given out, since when, why, and by whom."""

    scope: str
    since_ms: int
    because: str
    by: str


async def read_pauses(client: ValkeyClient, keys: CellKeys) -> list[Pause]:
    """All pauses by scope. Raises Unavailable when the server does not answer."""
    try:
        answer: Any = await client.execute_command("HGETALL", keys["pauses"])
    except FAULTS as exc:
        raise translate(exc) from exc
    pauses = []
    for scope, packed in dict(answer).items():
        since_ms, because, by = msgspec.msgpack.decode(packed, type=tuple[int, str, str])
        pauses.append(Pause(scope=scope.decode(), since_ms=since_ms, because=because, by=by))
    return sorted(pauses, key=lambda pause: pause.scope)
