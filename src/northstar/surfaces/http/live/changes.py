"""What has changed of the fleet since somebody saw it last, as their browser is told; pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from northstar.domain.live_fleet import LiveFleet, LiveLane, LiveMachine, LivePool, LiveTotals

#: Columns of the tables, as the page has them.
MACHINE_COLUMNS: Final = ("name", "status", "pools", "use", "gpu", "region", "resident", "fetching", "on_disk")
POOL_COLUMNS: Final = ("name", "waiting", "running", "machines", "use")
LANE_COLUMNS: Final = ("pool", "service", "models", "waiting", "oldest", "next_job", "why")
#: Different looks that watchers saw last, of whom the change is kept: nearly all saw the same, or nothing yet.
MOST_KEPT: Final = 8


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Rows by their keys, in the columns of the page; of machines only those that changed, and those that are gone."""

    totals: LiveTotals
    pools: list[list[str]]
    lanes: list[list[str]]
    more_lanes: int
    pauses: tuple[str, ...]
    machines: list[list[str]]
    gone: list[str]
    #: All machines are told, and the page forgets those that it had.
    whole: bool


def change(before: LiveFleet | None, now: LiveFleet) -> Change:
    """What to tell whoever saw `before` last; None: nothing yet."""
    known = {} if before is None else {machine.name: machine for machine in before.machines}
    here = {machine.name for machine in now.machines}
    return Change(
        totals=now.totals,
        pools=[pool_row(pool) for pool in now.pools],
        lanes=[lane_row(lane, now_ms=now.totals.at_ms) for lane in now.lanes],
        more_lanes=now.more_lanes,
        pauses=now.pauses,
        machines=[machine_row(machine) for machine in now.machines if known.get(machine.name) != machine],
        gone=[name for name in known if name not in here],
        whole=before is None,
    )


class Told:
    """What watchers of one process are told of the latest look, as the bytes of an event: made once for all who saw the same last one."""

    def __init__(self) -> None:
        self._now: LiveFleet | None = None
        self._events: list[tuple[LiveFleet | None, bytes]] = []

    def of(self, before: LiveFleet | None, now: LiveFleet) -> bytes:
        """The event for whoever saw `before` last; None: nothing yet."""
        if now is not self._now:
            self._now, self._events = now, []
        for seen, event in self._events:
            if seen is before:
                return event
        # JSON has no line break outside of its texts, and escapes those inside.
        event = b"event: fleet\ndata: " + msgspec.json.encode(change(before, now)) + b"\n\n"
        if len(self._events) < MOST_KEPT:
            self._events.append((before, event))
        return event


def machine_row(machine: LiveMachine) -> list[str]:
    """In the order of MACHINE_COLUMNS."""
    status = f"{machine.status}: {machine.why}" if machine.why else machine.status
    use = f"{machine.used} of {machine.slots}"
    return [
        machine.name,
        status,
        machine.pools,
        use,
        machine.gpu,
        machine.region,
        machine.resident,
        machine.fetching,
        machine.on_disk,
    ]


def pool_row(pool: LivePool) -> list[str]:
    """In the order of POOL_COLUMNS."""
    use = f"{pool.busy_slots} of {pool.slots}"
    return [pool.name, str(pool.waiting), str(pool.running), str(pool.machines), use]


def lane_row(lane: LiveLane, *, now_ms: int) -> list[str]:
    """In the order of LANE_COLUMNS."""
    waited_s = max(0, now_ms - lane.oldest_ms) // 1000
    return [lane.pool, lane.service, lane.models, str(lane.waiting), lasted(waited_s), lane.next_job, lane.why]


def lasted(seconds: int) -> str:
    """A time as people say it.

    >>> [lasted(seconds) for seconds in (7, 90, 7_500, 200_000)]
    ['7 s', '1 min 30 s', '2 h 5 min', '2 d 7 h']
    """
    for first, size, second, part in (("d", 86_400, "h", 3_600), ("h", 3_600, "min", 60), ("min", 60, "s", 1)):
        if seconds >= size:
            return f"{seconds // size} {first} {seconds % size // part} {second}"
    return f"{seconds} s"


def points(seen: tuple[LiveTotals, ...]) -> dict[str, Any]:
    """The curves so far: times in seconds, and what waited, ran and could run."""
    return {
        "at": [one.at_ms / 1000 for one in seen],
        "waiting": [one.waiting for one in seen],
        "busy": [one.busy_slots for one in seen],
        "slots": [one.slots for one in seen],
    }
