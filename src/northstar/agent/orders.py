"""Orders about models, from the broker's list to its answer: each carried out once, and answered even after a silence.

Those about one model in the order in which they were given, the others side by side.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from northstar.domain.errors import NorthstarError, Unavailable
from northstar.domain.refusals import MachineReplaced, NoSuchMachine, NoSuchOrder
from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from northstar.agent.model_link import ModelLink
    from northstar.store.messages import StoredOrder

log = logger(__name__)

#: Pause before an answer, or a look at the list, that the broker did not take is tried again.
RETRY_S: Final = 1.0
#: As the worker says of a job in which something went wrong that nobody foresaw.
_FAULT: Final = "NS_WORKER_FAULT"


class Orders:
    """A machine's open orders. `carry_out` does one, or raises why it cannot."""

    def __init__(
        self, link: ModelLink, carry_out: Callable[[StoredOrder], Awaitable[None]], *, retry_s: float = RETRY_S
    ) -> None:
        self._link = link
        self._carry_out = carry_out
        self._retry_s = retry_s
        self._due = asyncio.Event()
        self._begun: dict[str, asyncio.Task[None]] = {}
        self._latest: dict[str, asyncio.Task[None]] = {}

    def look(self) -> None:
        """There may be new ones; returns at once."""
        self._due.set()

    async def run(self) -> None:
        """Until cancelled; what is being carried out then is given up, and stays on the list."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._due.wait()
                self._due.clear()
                try:
                    self._begin(await self._link.pending_orders(), tasks)
                except (NoSuchMachine, MachineReplaced):
                    continue  # the worker learns it too, and registers anew or ends
                except NorthstarError as exc:
                    log.info("orders_not_read", code=exc.code, error=str(exc))
                    await asyncio.sleep(self._retry_s)
                    self._due.set()

    def _begin(self, orders: Sequence[StoredOrder], tasks: asyncio.TaskGroup) -> None:
        for order in orders:
            if order.id not in self._begun:
                doing = self._do(order, after=self._latest.get(order.model))
                task = tasks.create_task(doing, name=f"order-{order.id}")
                self._begun[order.id] = self._latest[order.model] = task

    async def _do(self, order: StoredOrder, *, after: asyncio.Task[None] | None) -> None:
        try:
            if after is not None:
                await asyncio.wait({after})
            code, message = await self._outcome(order)
            await self._answer(order, code=code, message=message)
        finally:
            done = self._begun.pop(order.id)
            if self._latest.get(order.model) is done:
                del self._latest[order.model]

    async def _outcome(self, order: StoredOrder) -> tuple[str, str]:
        log.info("order_begun", order=order.id, what=order.what, model=order.model)
        try:
            await self._carry_out(order)
        except NorthstarError as exc:
            log.warning("order_failed", order=order.id, model=order.model, code=exc.code, error=str(exc))
            return exc.code, str(exc)
        except Exception as exc:
            # An order that cannot even be read would otherwise end this agent, and the next one that finds it on the list.
            log.exception("order_raised", order=order.id, model=order.model)
            return _FAULT, f"{type(exc).__name__}: {exc}"
        log.info("order_done", order=order.id, what=order.what, model=order.model)
        return "", ""

    async def _answer(self, order: StoredOrder, *, code: str, message: str) -> None:
        while True:
            try:
                await self._link.order_ended(order.id, outcome="failed" if code else "done", code=code, message=message)
            except Unavailable:
                await asyncio.sleep(self._retry_s)
            except (NoSuchOrder, NoSuchMachine, MachineReplaced):
                return  # not on the list any more: the machine was taken for lost, or the answer before was heard after all
            except NorthstarError as exc:
                log.warning("order_answer_refused", order=order.id, code=exc.code, error=str(exc))
                return
            else:
                return
