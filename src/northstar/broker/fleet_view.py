"""The machines of a cell as whoever submits sees them: read at most once in a while, however many ask, and made ready beside the loop."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Final

import msgspec

from northstar.policy.routing.fleet_index import FleetIndex
from northstar.policy.routing.pool_capacity import FleetCapacity
from northstar.policy.routing.ranking_terms import NO_TERMS
from northstar.policy.routing.snapshot import CellSnapshot
from northstar.store.snapshots import CellReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from northstar.broker.routing import Router
    from northstar.policy.routing.ranking_terms import RankingTerms
    from northstar.store.cell import Cell

#: Machines that are sorted in less time than a thread takes to begin: about 30 µs each.
FEW_MACHINES: Final = 16
#: A look that is due is made beside the submissions; only after so many times the pause between looks does one wait for it.
STILL_GOOD: Final = 2


class SeenFleet(msgspec.Struct, frozen=True):
    """A snapshot, and its machines sorted for choices."""

    snapshot: CellSnapshot
    index: FleetIndex


class FleetView:
    """Of one cell. With a `router`, that one decides by the same view from then on."""

    def __init__(
        self,
        cell: Cell,
        *,
        monotonic: Callable[[], float],
        every_s: float = 1.0,
        router: Router | None = None,
        reader: CellReader | None = None,
    ) -> None:
        """The fleet is read at most every `every_s` seconds; 0: anew for each who asks. `reader` may be shared."""
        self.every_s = every_s
        self._reader = reader or CellReader(cell.client, cell.keys)
        self._monotonic = monotonic
        self._router = router
        self._seen: SeenFleet | None = None
        self._seen_s = -math.inf
        self._looking: asyncio.Task[SeenFleet] | None = None

    async def now(self) -> SeenFleet:
        """The machines as they are, or were a moment ago: at most `STILL_GOOD` looks ago, so that hardly anybody waits for one.

        Who asks before the first, or after a longer pause, gets what is read. Raises Unavailable.
        """
        age_s = self._monotonic() - self._seen_s
        if self._seen is not None and age_s < self.every_s:
            return self._seen
        if self._looking is None:
            self._looking = asyncio.create_task(self._look(), name="fleet-view")
            self._looking.add_done_callback(self._looked)
        if self._seen is not None and age_s < STILL_GOOD * self.every_s:
            return self._seen
        # Whoever gives up takes the look from nobody else.
        return await asyncio.shield(self._looking)

    async def settled(self) -> None:
        """Once no look is under way, as on a clock that stands still meanwhile; whether it succeeded shows in the next `now`."""
        if self._looking is not None:
            await asyncio.wait([self._looking])

    def terms(self) -> RankingTerms:
        """What machines are ranked by beside what they are."""
        return NO_TERMS if self._router is None else self._router.ranking_terms()

    def _looked(self, task: asyncio.Task[SeenFleet]) -> None:
        self._looking = None
        if not task.cancelled():
            task.exception()  # told to those who wait; if all have given up, to nobody

    async def _look(self) -> SeenFleet:
        began_s, router = self._monotonic(), self._router
        if router is not None:
            router.view_begins()
        snapshot = await self._reader.snapshot()
        before, paces = self._seen.index if self._seen else None, self.terms().paces

        def made() -> tuple[FleetIndex, FleetCapacity | None]:
            index = FleetIndex(snapshot, before, paces=paces).sorted_as(before)
            return index, FleetCapacity(snapshot) if router is not None else None

        few = len(snapshot.machines) <= FEW_MACHINES
        index, capacity = made() if few else await asyncio.to_thread(made)
        if router is not None and capacity is not None:
            router.decide_by(capacity, index)
        self._seen, self._seen_s = SeenFleet(snapshot, index), began_s
        return self._seen
