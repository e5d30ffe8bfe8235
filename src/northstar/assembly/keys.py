"""The keys of a cell, for brokers and commands alike."""

from __future__ import annotations

import secrets

from northstar.assembly.session import wall_clock_ms
from northstar.broker.keys import Keys
from northstar.store.cell import Cell


def keys_of(cell: Cell) -> Keys:
    """The keys of a cell, by this host's clock and its randomness."""
    return Keys(cell, random_bytes=secrets.token_bytes, now_ms=wall_clock_ms)
