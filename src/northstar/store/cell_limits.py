"""The limits that a cell keeps, for whoever has not opened it. A plain read of one key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from northstar.domain.refusals import CellMissing
from northstar.store.messages import StoredLimits
from northstar.store.valkey import FAULTS, ValkeyClient, translate

if TYPE_CHECKING:
    from northstar.store.keys import CellKeys


async def read_limits(client: ValkeyClient, keys: CellKeys) -> StoredLimits:
    """The cell's limits.

    Raises:
        CellMissing: nobody has made the cell. Unavailable: the server does not answer.
    """
    try:
        packed: Any = await client.execute_command("HGET", keys["meta"], "limits")
    except FAULTS as exc:
        raise translate(exc) from exc
    if packed is None:
        raise CellMissing({"key": "meta"})
    # Lua packs whole numbers that have been through arithmetic as floats.
    return msgspec.convert(msgspec.msgpack.decode(packed), StoredLimits, strict=False)
