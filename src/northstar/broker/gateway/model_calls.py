"""What a machine says of its models, and asks about them. Its name is its token's, as in every call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from northstar.domain.admission import Announcement
from northstar.store import wire

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from northstar.domain.admission import Admitted
    from northstar.store.cell import Cell


class ModelCalls:
    """The calls of one connection that are about models."""

    def __init__(self, cell: Cell, admitted: Admitted, *, session: str) -> None:
        self._cell = cell
        self._machine = admitted.machine
        self._grant = admitted.grant
        self._who = {"machine": admitted.machine, "session": session}

    async def describe(self, body: wire.Describe) -> wire.Nothing:
        """What the machine says of itself has changed. Raises NotGranted: not the place where it may stand."""
        self._grant.check_announced(self._machine, Announcement(region=body.description.region))
        description = msgspec.json.encode(body.description).decode()
        return await self._tell("update_machine", description=description)

    async def models_present(self, body: wire.ModelsPresent) -> wire.Nothing:
        """What it holds now."""
        return await self._tell("models_present", models=body.models)

    async def fetch_started(self, body: wire.FetchStarted) -> wire.Nothing:
        """It fetches, because it was told to or because a job needs it: whether others do, too, was decided before."""
        return await self._tell(
            "fetch_started",
            model=body.model,
            bytes=body.size_bytes,
            expected_ms=body.expected_ms,
            copies=_ANY_NUMBER,
        )

    async def fetch_ended(self, body: wire.FetchEnded) -> wire.Nothing:
        """It fetches no more."""
        return await self._tell("fetch_ended", model=body.model, outcome=body.outcome)

    async def pending_orders(self, _: wire.PendingOrders) -> wire.Orders:
        """What it is to do."""
        return wire.Orders(tuple(await self._cell.pending_orders(self._machine, session=self._who["session"])))

    async def order_ended(self, body: wire.OrderEnded) -> wire.Nothing:
        """It did it, or could not."""
        return await self._tell(
            "order_ended", order=body.order, outcome=body.outcome, code=body.code, message=body.message[:2_000]
        )

    async def _tell(self, function: str, **fields: Any) -> wire.Nothing:
        await self._cell.call(function, self._who | fields, dict[str, Any])
        return wire.Nothing()


#: As many copies at a time as the library lets a caller allow.
_ANY_NUMBER: Final = 500

#: By name: the type of the body, and what answers.
MODEL_CALLS: Final[dict[str, tuple[type[Any], Callable[[ModelCalls, Any], Awaitable[Any]]]]] = {
    "describe": (wire.Describe, ModelCalls.describe),
    "models_present": (wire.ModelsPresent, ModelCalls.models_present),
    "fetch_started": (wire.FetchStarted, ModelCalls.fetch_started),
    "fetch_ended": (wire.FetchEnded, ModelCalls.fetch_ended),
    "pending_orders": (wire.PendingOrders, ModelCalls.pending_orders),
    "order_ended": (wire.OrderEnded, ModelCalls.order_ended),
}
