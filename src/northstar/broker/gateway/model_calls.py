"""What a machine says of its models, and asks about them. Its name is its token's, as in every call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from northstar.domain.admission import Announcement
from northstar.store import wire
from northstar.store.model_reports import ModelReports

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from northstar.domain.admission import Admitted
    from northstar.store.cell import Cell


class ModelCalls:
    """The calls of one connection that are about models."""

    def __init__(self, cell: Cell, admitted: Admitted, *, session: str) -> None:
        self._machine = admitted.machine
        self._grant = admitted.grant
        self._reports = ModelReports(cell, machine=admitted.machine, session=session)

    async def describe(self, body: wire.Describe) -> wire.Nothing:
        """What the machine says of itself has changed. Raises NotGranted: not the place where it may stand."""
        self._grant.check_announced(self._machine, Announcement(region=body.description.region))
        await self._reports.describe(body.description)
        return wire.Nothing()

    async def models_present(self, body: wire.ModelsPresent) -> wire.Nothing:
        """What it holds now."""
        await self._reports.models_present(body.models)
        return wire.Nothing()

    async def fetch_started(self, body: wire.FetchStarted) -> wire.Nothing:
        """It fetches, because it was told to or because a job needs it."""
        await self._reports.fetch_started(body.model, size_bytes=body.size_bytes, expected_ms=body.expected_ms)
        return wire.Nothing()

    async def fetch_ended(self, body: wire.FetchEnded) -> wire.Nothing:
        """It fetches no more."""
        await self._reports.fetch_ended(body.model, outcome=body.outcome)
        return wire.Nothing()

    async def pending_orders(self, _: wire.PendingOrders) -> wire.Orders:
        """What it is to do."""
        return wire.Orders(tuple(await self._reports.pending_orders()))

    async def order_ended(self, body: wire.OrderEnded) -> wire.Nothing:
        """It did it, or could not."""
        await self._reports.order_ended(body.order, outcome=body.outcome, code=body.code, message=body.message)
        return wire.Nothing()


#: By name: the type of the body, and what answers.
MODEL_CALLS: Final[dict[str, tuple[type[Any], Callable[[ModelCalls, Any], Awaitable[Any]]]]] = {
    "describe": (wire.Describe, ModelCalls.describe),
    "models_present": (wire.ModelsPresent, ModelCalls.models_present),
    "fetch_started": (wire.FetchStarted, ModelCalls.fetch_started),
    "fetch_ended": (wire.FetchEnded, ModelCalls.fetch_ended),
    "pending_orders": (wire.PendingOrders, ModelCalls.pending_orders),
    "order_ended": (wire.OrderEnded, ModelCalls.order_ended),
}
