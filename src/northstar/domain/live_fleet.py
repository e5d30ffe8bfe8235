"""The fleet and its queue at one moment, as somebody watches them: rows of three tables, and a point of each curve."""

from __future__ import annotations

import msgspec


class LivePool(msgspec.Struct, frozen=True, kw_only=True):
    """A pool. A machine that serves several counts in each."""

    name: str
    waiting: int
    running: int
    machines: int
    slots: int
    busy_slots: int


class LiveMachine(msgspec.Struct, frozen=True, kw_only=True):
    """A machine."""

    name: str
    pools: str
    #: `active`, `draining` or `out`; why it takes no work, where it does not.
    status: str
    why: str
    slots: int
    used: int
    gpu: str
    region: str
    #: Models in memory, on disk, and being fetched: the first few by name, and how many more.
    resident: str
    on_disk: str
    fetching: str


class LiveLane(msgspec.Struct, frozen=True, kw_only=True):
    """Jobs that wait for the same."""

    id: str
    pool: str
    service: str
    models: str
    waiting: int
    #: Since when the longest of them waits, ms since the epoch by the cell's clock.
    oldest_ms: int
    #: The next of them.
    next_job: str
    #: Why nobody takes them; empty while somebody does.
    why: str


class LiveTotals(msgspec.Struct, frozen=True, kw_only=True):
    """A point of each curve."""

    at_ms: int
    waiting: int
    running: int
    delayed: int
    dead: int
    #: Jobs ever, by what became of them.
    succeeded: int
    failed: int
    machines: int
    slots: int
    busy_slots: int


class LiveFleet(msgspec.Struct, frozen=True, kw_only=True):
    """All of it, in the order in which it is shown."""

    cell: str
    totals: LiveTotals
    pools: tuple[LivePool, ...]
    machines: tuple[LiveMachine, ...]
    #: Those in which the most wait.
    lanes: tuple[LiveLane, ...]
    #: Lanes with waiting jobs that are not shown.
    more_lanes: int
    #: Why things stand still that an operator has stopped: scope and reason.
    pauses: tuple[str, ...]
