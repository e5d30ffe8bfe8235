"""What an agent says to its broker of its models, and what it is told to do with them; by either way to the cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from northstar.store import wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.agent.websocket_link import WebSocketLink
    from northstar.domain.machines import MachineDescription
    from northstar.domain.models import ModelHeld
    from northstar.store.messages import StoredOrder


class ModelLink(Protocol):
    """Every call may raise Unavailable, and NoSuchMachine or MachineReplaced; all may be repeated."""

    async def describe(self, description: MachineDescription) -> None:
        """What the machine says of itself has changed."""
        ...

    async def models_present(self, models: Sequence[ModelHeld]) -> None:
        """Everything that it holds now."""
        ...

    async def fetch_started(self, model: str, *, size_bytes: int, expected_ms: int) -> None:
        """It fetches a model. Raises AlreadyFetching if that was said before."""
        ...

    async def fetch_ended(self, model: str, *, outcome: str) -> None:
        """It fetches it no more: `fetched`, `failed` or `canceled`. Raises NotFetching if nobody knew of it."""
        ...

    async def pending_orders(self) -> Sequence[StoredOrder]:
        """What it is to fetch or to evict."""
        ...

    async def order_ended(self, order: str, *, outcome: str, code: str = "", message: str = "") -> None:
        """An order was carried out (`done`), or could not be (`failed`). Raises NoSuchOrder if it is not open any more."""
        ...


class DialledModelLink:
    """Through the broker that the machine has dialled."""

    def __init__(self, link: WebSocketLink) -> None:
        self._link = link

    async def describe(self, description: MachineDescription) -> None:
        """What the machine says of itself has changed."""
        await self._tell("describe", wire.Describe(description))
        self._link.note(description=description)

    async def models_present(self, models: Sequence[ModelHeld]) -> None:
        """Everything that it holds now."""
        await self._tell("models_present", wire.ModelsPresent(tuple(models)))
        self._link.note(models=models)

    async def fetch_started(self, model: str, *, size_bytes: int, expected_ms: int) -> None:
        """It fetches a model."""
        await self._tell("fetch_started", wire.FetchStarted(model, size_bytes, expected_ms))

    async def fetch_ended(self, model: str, *, outcome: str) -> None:
        """It fetches it no more."""
        await self._tell("fetch_ended", wire.FetchEnded(model, outcome))

    async def pending_orders(self) -> Sequence[StoredOrder]:
        """What it is to fetch or to evict."""
        return (await self._link.call("pending_orders", wire.PendingOrders(), wire.Orders)).orders

    async def order_ended(self, order: str, *, outcome: str, code: str = "", message: str = "") -> None:
        """An order was carried out, or could not be."""
        await self._tell("order_ended", wire.OrderEnded(order, outcome, code, message[:2_000]))

    async def _tell(self, name: str, body: Any) -> None:
        await self._link.call(name, body, wire.Nothing)
