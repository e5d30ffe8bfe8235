"""What a process that stays does once it has begun, so that none of its pauses is longer than it must be."""

from __future__ import annotations

import gc
from typing import Final

#: Objects made more than given up before the youngest are looked at, and how many such looks before one at older ones. A plan of 2,000 machines
#: makes some ten thousand records and gives them all up again: at the usual 700 that is a hundred looks, and a full one every few seconds.
_THRESHOLDS: Final = (10_000, 20, 20)


def settled() -> None:
    """Everything that a process starts with is there: the collector need not look at it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
