"""Models that a pool wants on all its machines are ordered to those that lack them (`models.keep` of a pool)."""

from __future__ import annotations

import asyncio
import itertools
import math
from typing import TYPE_CHECKING, Final

from northstar.broker.model_orders import order_fetch
from northstar.domain.errors import NorthstarError
from northstar.policy.fleet.kept_models import kept_models
from northstar.store.snapshots import CellReader
from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from northstar.broker.catalogue_view import CatalogueView
    from northstar.domain.models import ModelOrder
    from northstar.domain.pools import Pools
    from northstar.policy.fleet.kept_models import KeptModels
    from northstar.policy.routing.snapshot import MachineState
    from northstar.store.cell import Cell

log = logger(__name__)

#: What was ordered to a machine is not ordered to it again for so long: it may be large, or its disk full.
AGAIN_AFTER_S: Final = 900.0
#: Files under way to one machine: the next ones follow when one of these is there.
_PER_MACHINE: Final = 2
#: An order that a machine has not begun by then holds up no other: it may never be begun.
_TAKEN_UP_S: Final = 30.0
_REMEMBERED: Final = 100_000


class PoolModels:
    """Looks at the machines of one cell now and then. Several may run at once: an order that stands is not given twice."""

    def __init__(
        self,
        cell: Cell,
        catalogue: CatalogueView,
        pools: Callable[[], Pools],
        *,
        new_id: Callable[[], str],
        monotonic: Callable[[], float],
        every_s: float = 10.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        reader: CellReader | None = None,
    ) -> None:
        """`reader` may be shared with others that look at the cell."""
        self._cell = cell
        self._reader = reader or CellReader(cell.client, cell.keys)
        self._catalogue = catalogue
        self._pools = pools
        self._new_id = new_id
        self._monotonic = monotonic
        self._every_s = every_s
        self._sleep = sleep
        self._ordered_s: dict[tuple[str, str], float] = {}

    async def run(self) -> None:
        """Until cancelled. A server that does not answer is asked again, with a line in the log."""
        while True:
            await self._sleep(self._every_s)
            try:
                await self.step()
            except NorthstarError as exc:
                log.warning("pool_models_not_looked_at", cell=self._cell.name, code=exc.code, error=str(exc))

    async def step(self) -> int:
        """One look; gives how many files were ordered. Raises Unavailable."""
        pools = self._pools()
        if not any(spec.models.keep for spec in pools.pools.values()):
            return 0
        catalogue = await self._catalogue.current()
        snapshot = await self._reader.snapshot()
        known: dict[tuple[tuple[str, ...], int], KeptModels] = {}
        ordered = 0
        for machine in snapshot.machines.values():
            profile = snapshot.profiles.get(machine.profile)
            if profile is None or not machine.active or not machine.description.keeps_models:
                continue
            alike = (profile.pools, machine.description.disk_bytes)
            if alike not in known:
                known[alike] = kept_models(pools, profile.pools, machine.description, catalogue)
                self._tell(profile.pools, known[alike])
            wanted = [order for file in known[alike].files if (order := file.order()) is not None]
            for order in self._due(machine, wanted):
                self._remember(machine.id, order.name)
                ordered += await self._order(machine.id, order)
        return ordered

    def _tell(self, served: tuple[str, ...], kept: KeptModels) -> None:
        """What cannot be had, once."""
        for name in kept.unknown:
            self._tell_once("pool_model_unknown", name, hint="declare it: northstar models add")
        for name in kept.too_much:
            hint = "name fewer models in models.keep, or raise storage.max_gb"
            self._tell_once("pool_model_has_no_room", name, pools=",".join(served), hint=hint)

    def _due(self, machine: MachineState, wanted: Iterable[ModelOrder]) -> list[ModelOrder]:
        """What to order to a machine now: so much of what it lacks that no more than two files are under way to it."""
        missing = [one for one in wanted if one.name not in machine.held]
        ages_s = {one.name: self._ordered_ago_s(machine.id, one.name) for one in missing}
        under_way = sum(one.name in machine.fetching or ages_s[one.name] < _TAKEN_UP_S for one in missing)
        late = (one for one in missing if one.name not in machine.fetching and ages_s[one.name] >= AGAIN_AFTER_S)
        return list(itertools.islice(late, max(0, _PER_MACHINE - under_way)))

    async def _order(self, machine: str, order: ModelOrder) -> int:
        try:
            await order_fetch(self._cell, machine, order, order_id=f"o_{self._new_id()}", by="its pool's models")
        except NorthstarError as exc:
            log.info("pool_model_not_ordered", machine=machine, model=order.name, code=exc.code, error=str(exc))
            return 0
        return 1

    def _ordered_ago_s(self, machine: str, model: str) -> float:
        """Seconds since it was ordered to the machine; infinite if it never was."""
        return self._monotonic() - self._ordered_s.get((machine, model), -math.inf)

    def _remember(self, machine: str, model: str) -> None:
        self._ordered_s[machine, model] = self._monotonic()
        while len(self._ordered_s) > _REMEMBERED:
            del self._ordered_s[next(iter(self._ordered_s))]

    def _tell_once(self, what: str, model: str, **said: str) -> None:
        """Of names of machines none begins with a colon, so this place is nobody's."""
        place = f":{what}:{said.get('pools', '')}"
        if (place, model) not in self._ordered_s:
            log.warning(what, model=model, **said)
            self._remember(place, model)
