"""The fleet as it is watched: one look a second for all who watch, and none while nobody does."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import deque
from typing import TYPE_CHECKING, Final

from northstar.broker.measures import machine_status, pools_measured
from northstar.domain.errors import Unavailable
from northstar.domain.live_fleet import LiveFleet, LiveLane, LiveMachine, LivePool, LiveTotals
from northstar.policy.routing.eta import why_nobody
from northstar.store.lane_waits import read_first_job, read_lane_waits
from northstar.store.pauses import read_pauses
from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterable

    from northstar.policy.routing.snapshot import CellSnapshot, LaneState, MachineState
    from northstar.store.cell import Cell
    from northstar.store.snapshots import CellReader

log = logger(__name__)

#: Points of the curves that are kept: a quarter of an hour.
POINTS: Final = 900
MOST_LANES: Final = 50
MOST_MACHINES: Final = 2_000
#: Models that are named of a machine.
_NAMED: Final = 3
#: Why nobody takes a lane changes seldom and costs a look at every machine, so it is found out this often, seconds.
_WHY_EVERY_S: Final = 5.0


class LiveFleets:
    """Looks of one process at its cell. `pools` are those in force, `reader` the process's own."""

    def __init__(
        self,
        cell: Cell,
        *,
        reader: CellReader,
        pools: Callable[[], Collection[str]],
        monotonic: Callable[[], float],
        every_s: float = 1.0,
    ) -> None:
        self._cell = cell
        self._reader = reader
        self._pools = pools
        self._monotonic = monotonic
        self._every_s = every_s
        self._points: deque[LiveTotals] = deque(maxlen=POINTS)
        self._latest: LiveFleet | None = None
        self._looked_s = -math.inf
        self._looking = asyncio.Lock()
        self._why: dict[str, str] = {}
        self._why_s = -math.inf

    @property
    def points(self) -> tuple[LiveTotals, ...]:
        """What was seen of the curves, oldest first; with holes where nobody watched."""
        return tuple(self._points)

    async def look(self) -> LiveFleet:
        """The fleet, at most `every_s` old however many ask. Raises Unavailable: the cell does not answer."""
        async with self._looking:
            now_s = self._monotonic()
            # A little less than the pace, so that whoever keeps it is never told the same again.
            if self._latest is None or now_s - self._looked_s >= self._every_s * 0.9:
                self._latest = await self._seen()
                self._looked_s = now_s
                self._points.append(self._latest.totals)
            return self._latest

    async def watch(self) -> AsyncIterator[LiveFleet | None]:
        """The fleet again and again; None where the cell does not answer at present."""
        while True:
            seen = None
            with contextlib.suppress(Unavailable):
                seen = await self.look()
            yield seen
            await asyncio.sleep(self._every_s)

    async def _seen(self) -> LiveFleet:
        counts = (await self._cell.statistics()).counts
        view = await self._reader.snapshot()
        pools = pools_measured(view, set(self._pools()))
        machines = sorted(view.machines.values(), key=lambda machine: machine.id)
        lanes, more = await self._lanes(view)
        pauses = await read_pauses(self._cell.client, self._cell.keys)
        working = [machine for machine in machines if machine.takes_work]
        return LiveFleet(
            cell=self._cell.name,
            totals=LiveTotals(
                at_ms=counts["now_ms"],
                waiting=counts["waiting_size"],
                running=counts["leases_size"],
                delayed=counts["delayed_size"],
                dead=counts["dead_size"],
                succeeded=counts["succeeded"],
                failed=counts["failed"],
                machines=len(machines),
                slots=sum(machine.slots for machine in working),
                busy_slots=sum(machine.used for machine in machines),
            ),
            pools=tuple(
                LivePool(
                    name=name,
                    waiting=pool.waiting,
                    running=pool.running,
                    machines=pool.machines,
                    slots=pool.slots,
                    busy_slots=pool.busy_slots,
                )
                for name, pool in pools.items()
            ),
            machines=tuple(_machine(machine, view) for machine in machines[:MOST_MACHINES]),
            lanes=lanes,
            more_lanes=more,
            pauses=tuple(f"{pause.scope.replace(':', ' ')} is paused: {pause.because}" for pause in pauses),
        )

    async def _lanes(self, view: CellSnapshot) -> tuple[tuple[LiveLane, ...], int]:
        waiting = sorted(
            (lane for lane in view.lanes.values() if lane.waits), key=lambda lane: (-lane.waiting, lane.id)
        )
        shown = waiting[:MOST_LANES]
        waits = await read_lane_waits(self._cell.client, self._cell.keys, [lane.id for lane in shown])
        if self._monotonic() - self._why_s >= _WHY_EVERY_S:
            self._why, self._why_s = {}, self._monotonic()
        rows = []
        for lane in shown:
            if (wait := waits.get(lane.id)) is None:
                continue
            first = await read_first_job(self._cell.client, self._cell.keys, lane.id)
            wanted = view.classes.get(lane.requirement_class)
            rows.append(
                LiveLane(
                    id=lane.id,
                    pool="" if wanted is None else wanted.pool,
                    service="" if wanted is None else wanted.service,
                    models=_named(name for name, _ in lane.anchors),
                    waiting=wait.waiting,
                    oldest_ms=wait.oldest_ms,
                    next_job=first or "",
                    why=self._why_of(lane, view),
                )
            )
        return tuple(rows), len(waiting) - len(shown)

    def _why_of(self, lane: LaneState, view: CellSnapshot) -> str:
        """Why nobody takes the lane, as of the last few seconds."""
        if lane.running:
            return ""
        if lane.id not in self._why:
            wanted = view.classes.get(lane.requirement_class)
            fits = wanted is None or any(
                machine.takes_work and view.fits.get((machine.profile, lane.requirement_class))
                for machine in view.machines.values()
            )
            self._why[lane.id] = "" if fits or wanted is None else why_nobody(wanted, view)
        return self._why[lane.id]


def _machine(machine: MachineState, view: CellSnapshot) -> LiveMachine:
    profile = view.profiles.get(machine.profile)
    description = machine.description
    return LiveMachine(
        name=machine.id,
        pools=", ".join(() if profile is None else profile.pools),
        status=machine_status(machine),
        why=machine.out_because,
        slots=machine.slots,
        used=machine.used,
        gpu=description.gpu,
        region=description.region,
        resident=_named(sorted(name for name, place in machine.held.items() if place == "resident")),
        on_disk=_named(sorted(name for name, place in machine.held.items() if place == "disk")),
        fetching=_named(sorted(machine.fetching)),
    )


def _named(names: Iterable[str]) -> str:
    """The first few, and how many more.

    >>> _named(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    known = list(names)
    more = len(known) - _NAMED
    return ", ".join(known[:_NAMED]) + (f" and {more} more" if more > 0 else "")
