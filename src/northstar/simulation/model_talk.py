"""What a simulated machine and its broker say to each other about models: the agent's own news, told once they have settled, and orders that are carried out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from northstar.agent.model_news import SETTLE_S, ModelNews
from northstar.domain.errors import NorthstarError
from northstar.domain.models import ModelOrder
from northstar.domain.refusals import MachineReplaced, NoSuchMachine, NoSuchOrder
from northstar.simulation.clock import in_ms
from northstar.store.model_reports import ModelReports

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from northstar.domain.models import ModelNeed
    from northstar.simulation.inputs import SimulatedMachine
    from northstar.simulation.model_store import Came, SimulatedStore
    from northstar.simulation.world import World
    from northstar.store.messages import StoredOrder

_SETTLE_MS: Final = in_ms(SETTLE_S)


class ModelTalk:
    """Of one life of a machine."""

    def __init__(
        self,
        world: World,
        machine: SimulatedMachine,
        *,
        session: str,
        store: SimulatedStore,
        is_gone: Callable[[], bool],
        is_heard: Callable[[], bool],
    ) -> None:
        """`is_heard` is whether the broker hears the machine now."""
        self._world = world
        self._store = store
        self._is_gone = is_gone
        self._is_heard = is_heard
        self._reports = ModelReports(world.cell, machine=machine.id, session=session)
        self.news = ModelNews(store, self._reports, said=machine.description(), vram_bytes=machine.vram_mb * 1_000_000)
        self._orders: set[str] = set()
        self._tells = False
        store.wake(self.news.note)

    def used(self, service: str, needs: Sequence[ModelNeed]) -> None:
        """A job of this service has ended, for which these were loaded."""
        self.news.used(service, needs)

    def mind(self) -> None:
        """Have what changed told, with whatever else changes until then."""
        if self.news.due.is_set() and not self._tells and not self._is_gone():
            self._tells = True
            self._world.soon(self._tell, in_ms=_SETTLE_MS)

    async def _tell(self) -> None:
        self._tells = False
        self.news.due.clear()
        if self._is_gone():
            return
        if not self._is_heard():
            self.news.due.set()
            return
        try:
            await self.news.tell()
        except (NoSuchMachine, MachineReplaced):
            return  # it registers anew at its next word, and tells everything

    async def look_at_orders(self) -> None:
        """Carry out those that are new."""
        for order in await self._reports.pending_orders():
            if order.id not in self._orders:
                self._orders.add(order.id)
                await self._carry_out(order)
        self.mind()

    async def _carry_out(self, order: StoredOrder) -> None:
        if order.what == "evict":
            try:
                self._store.evict(order.model)
            except NorthstarError as exc:
                await self._answer(order, exc)
            else:
                await self._answer(order, None)
            return
        wanted = msgspec.json.decode(order.body, type=ModelOrder)
        if not self._store.missing([wanted]):
            await self._answer(order, None)
            return
        keeps = self._store.shelf.reserving([wanted.name])
        keeps.__enter__()

        async def ended(error: NorthstarError | None, came: Came) -> None:
            self._store.came_apart(came)
            keeps.__exit__(None, None, None)
            self.mind()
            await self._answer(order, error)

        await self._store.fetch(wanted, ended)

    async def _answer(self, order: StoredOrder, error: NorthstarError | None) -> None:
        self._orders.discard(order.id)
        if not self._is_heard():
            return
        try:
            await self._reports.order_ended(
                order.id,
                outcome="done" if error is None else "failed",
                code="" if error is None else error.code,
                message="" if error is None else str(error),
            )
        except (NoSuchOrder, NoSuchMachine, MachineReplaced):
            return  # it is not on the list any more
