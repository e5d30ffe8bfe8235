"""How a machine stands to a lane."""

from __future__ import annotations

import msgspec


class Start(msgspec.Struct, frozen=True):
    """For how long it leaves the jobs to others, ms, and what it takes longer than others.

    `cost_ms` are fetch and load, and by how much longer the run itself takes there than on the fastest GPU of the fleet.
    """

    cost_ms: float
    wait_ms: int
