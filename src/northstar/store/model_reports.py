"""What a machine says to its cell of its models, and what it is told to do with them; whoever says it for the machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.domain.machines import MachineDescription
    from northstar.domain.models import ModelHeld
    from northstar.store.cell import Cell
    from northstar.store.messages import StoredOrder

#: Copies that may be fetched at a time: whether this machine should was decided before.
_ANY_NUMBER: Final = 500


class ModelReports:
    """One machine's, under one session. Every call may raise Unavailable, and NoSuchMachine or MachineReplaced; all may be repeated."""

    def __init__(self, cell: Cell, *, machine: str, session: str) -> None:
        self._cell = cell
        self._machine = machine
        self._session = session

    async def describe(self, description: MachineDescription) -> None:
        """What the machine says of itself has changed."""
        await self._tell("update_machine", description=msgspec.json.encode(description).decode())

    async def models_present(self, models: Sequence[ModelHeld]) -> None:
        """Everything that it holds now."""
        await self._tell("models_present", models=models)

    async def fetch_started(self, model: str, *, size_bytes: int, expected_ms: int) -> None:
        """It fetches a model."""
        await self._tell("fetch_started", model=model, bytes=size_bytes, expected_ms=expected_ms, copies=_ANY_NUMBER)

    async def fetch_ended(self, model: str, *, outcome: str) -> None:
        """It fetches it no more."""
        await self._tell("fetch_ended", model=model, outcome=outcome)

    async def pending_orders(self) -> Sequence[StoredOrder]:
        """What it is to fetch or to evict."""
        return await self._cell.pending_orders(self._machine, session=self._session)

    async def order_ended(self, order: str, *, outcome: str, code: str = "", message: str = "") -> None:
        """An order was carried out, or could not be."""
        await self._tell("order_ended", order=order, outcome=outcome, code=code, message=message[:2_000])

    async def _tell(self, function: str, **fields: Any) -> None:
        await self._cell.call(function, {"machine": self._machine, "session": self._session, **fields}, dict[str, Any])
