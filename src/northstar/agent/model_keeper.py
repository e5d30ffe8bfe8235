"""Keeps the broker's picture of a machine's models true, and does with them what it is told."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from northstar.agent.model_news import SETTLE_S, ModelNews
from northstar.agent.orders import RETRY_S, Orders
from northstar.domain.errors import NorthstarError, Unavailable
from northstar.domain.models import ModelOrder
from northstar.domain.refusals import MachineReplaced, NoSuchMachine
from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.agent.kept_models import KeptModels
    from northstar.agent.model_link import ModelLink
    from northstar.domain.machines import MachineDescription
    from northstar.domain.models import ModelHeld
    from northstar.store.messages import StoredOrder

log = logger(__name__)

#: What the broker refused is said again after so long: it is full, and that lasts.
_REFUSED_S: Final = 60.0


class ModelKeeper(ModelNews):
    """The models of one machine before its broker. Run it beside the worker, which asks it at each registration."""

    def __init__(
        self,
        store: KeptModels,
        link: ModelLink,
        *,
        said: MachineDescription,
        of_engines: Sequence[ModelHeld] = (),
        vram_bytes: int = 0,
        settle_s: float = SETTLE_S,
        retry_s: float = RETRY_S,
    ) -> None:
        """As `ModelNews`; what changes within `settle_s` is told at once."""
        super().__init__(store, link, said=said, of_engines=of_engines, vram_bytes=vram_bytes)
        self._kept = store
        self._settle_s = settle_s
        self._retry_s = retry_s
        self._orders = Orders(link, self._carry_out, retry_s=retry_s)

    def look(self) -> None:
        """There may be orders; returns at once."""
        self._orders.look()

    async def run(self) -> None:
        """Until cancelled, or until the store closes."""
        async with asyncio.TaskGroup() as tasks:
            orders = tasks.create_task(self._orders.run(), name="orders")
            telling = tasks.create_task(self._tell_for_ever(), name="models-told")
            async for change in self._kept.changes():
                self.note(change)
            orders.cancel()
            telling.cancel()

    async def _tell_for_ever(self) -> None:
        while True:
            await self.due.wait()
            await asyncio.sleep(self._settle_s)
            self.due.clear()
            try:
                await self.tell()
            except (NoSuchMachine, MachineReplaced):
                continue  # the worker registers anew and asks for everything, or ends
            except NorthstarError as exc:
                # The jobs that run here are worth more than a picture that is up to date.
                log.warning("models_not_told", code=exc.code, error=str(exc))
                await asyncio.sleep(self._retry_s if isinstance(exc, Unavailable) else _REFUSED_S)
                self.due.set()

    async def _carry_out(self, order: StoredOrder) -> None:
        if order.what == "evict":
            freed = await self._kept.evict(order.model)
            log.info("model_evicted", model=order.model, freed_bytes=freed)
        else:
            wanted = msgspec.json.decode(order.body, type=ModelOrder)
            with self._kept.reserving([wanted.name]):
                await self._kept.fetch(wanted)
