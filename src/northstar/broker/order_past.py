"""How orders about models ended: from the history, and from the events that are still on their way there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

from northstar.broker.waiting_events import waiting_events
from northstar.domain.errors import NorthstarError, Unavailable
from northstar.domain.machine_resources import OpenOrder
from northstar.domain.refusals import NoSuchMachine
from northstar.store.events import read_events
from northstar.store.history import BEGINNING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.domain.events import Event
    from northstar.store.cell import Cell
    from northstar.store.history import HistoryReader

_GIVEN: Final = "order.given"
_ENDED: Final = "order.ended"
_PAGE: Final = 1_000
#: How long one look waits for the next event.
_LOOK_MS: Final = 500
#: Answers looked through for one that was given while nobody looked.
_LATEST: Final = 100


class OrderEnded(msgspec.Struct, frozen=True, kw_only=True):
    """An order that was answered.

    `outcome` is done, failed (then with `code` and `message`) or gone: the machine left before. `what` is empty where nothing
    is known any more of when it was given.
    """

    order: str
    what: str
    model: str
    outcome: str
    code: str
    message: str
    ended_ms: int


class OrderWaitTooLong(NorthstarError):
    """An order was not answered in time. It stands."""

    code: ClassVar[str] = "NS_ORDER_WAIT_TIMEOUT"

    def __init__(self, machine: str, order: str, *, timeout_s: float) -> None:
        super().__init__(
            f"{machine} did not answer order {order} within {timeout_s:g} s; it stands: northstar machines orders {machine}"
        )


class OrderAnswerUnknown(Unavailable):
    """An order was answered, and the answer is where it cannot be read from here."""

    code: ClassVar[str] = "NS_ORDER_ANSWER_UNKNOWN"
    retryable = False

    def __init__(self, machine: str, order: str, *, reason: str) -> None:
        super().__init__(
            f"{machine} has answered order {order}, but how cannot be read here ({reason}); the broker's log says it"
        )


class OrderPast:
    """The answered orders of one cell's machines. Without a `reader`, `fault` says why the history cannot be read from here."""

    def __init__(self, cell: Cell, reader: HistoryReader | None, *, fault: NorthstarError | None = None) -> None:
        self._cell = cell
        self._reader = reader
        self.fault = fault

    async def ended(self, machine: str, *, count: int = _LATEST) -> list[OrderEnded]:
        """The latest that ended, latest first, at most `count` of 1 to 500; without the history only what is not in it yet.

        Raises:
            Unavailable: cell or history do not answer.
        """
        # First what waits: it may be in the history, and nowhere else, a moment later.
        waiting = await waiting_events(self._cell, {machine})
        events: dict[str, Event] = {}
        if self._reader is not None:
            kept = await self._reader.latest_events(machine, kinds=(_GIVEN, _ENDED), count=2 * count)
            events = {str(event.id): event for event in kept}
        events |= {str(event.id): event for event in waiting if event.kind in {_GIVEN, _ENDED}}
        return _orders(sorted(events.values(), key=lambda event: event.id))[:count]

    async def answer(self, machine: str, order: str, *, timeout_s: float) -> OrderEnded:
        """Wait until a machine has answered an order, and give the answer.

        Raises:
            OrderWaitTooLong: it was not answered within `timeout_s`.
            OrderAnswerUnknown: it was, and neither cell nor history say how.
            Unavailable: cell or history do not answer.
        """
        try:
            async with asyncio.timeout(timeout_s):
                return await self._answer(machine, order)
        except TimeoutError:
            raise OrderWaitTooLong(machine, order, timeout_s=timeout_s) from None

    async def _answer(self, machine: str, order: str) -> OrderEnded:
        after = BEGINNING
        while True:
            page = await read_events(self._cell.client, self._cell.keys, after=after, count=_PAGE, wait_ms=_LOOK_MS)
            for ended in _orders([event for event in page if event.subject == machine]):
                if ended.order == order:
                    return ended
            after = page[-1].id if page else after
            if len(page) == _PAGE or await self._is_open(machine, order):
                continue
            for ended in await self.ended(machine):
                if ended.order == order:
                    return ended
            raise OrderAnswerUnknown(machine, order, reason=str(self.fault or "its event is not kept"))

    async def _is_open(self, machine: str, order: str) -> bool:
        return any(one.id == order for one in await self._cell.pending_orders(machine))


class MachineOrders(msgspec.Struct, frozen=True, kw_only=True):
    """Orders to one machine: those that are open, and some that have ended, the latest first. Not whole: older ones cannot be read."""

    orders: tuple[OpenOrder, ...]
    ended: tuple[OrderEnded, ...]
    is_whole: bool


async def orders_of(cell: Cell, past: OrderPast, machine: str, *, ended: int) -> MachineOrders:
    """The open ones; and at most `ended` of the others, unless that is 0.

    Raises:
        NoSuchMachine: it is not registered, and nothing of it has ended that was asked for. Unavailable: cell or history do not answer.
    """
    answered = await past.ended(machine, count=ended) if ended else []
    try:
        found = await cell.pending_orders(machine)
    except NoSuchMachine:
        if not answered:
            raise  # nothing was ever heard of it
        found = []
    return MachineOrders(
        orders=tuple(OpenOrder(order=one.id, what=one.what, model=one.model, given_ms=one.given_ms) for one in found),
        ended=tuple(answered),
        is_whole=not ended or past.fault is None,
    )


def _orders(events: Sequence[Event]) -> list[OrderEnded]:
    """Those that these events say have ended, latest first."""
    given = {str(event.data["order"]): str(event.data.get("what") or "") for event in events if event.kind == _GIVEN}
    return [
        OrderEnded(
            order=str(event.data["order"]),
            what=given.get(str(event.data["order"]), ""),
            model=str(event.data.get("model") or ""),
            outcome=str(event.data.get("outcome") or ""),
            code=str(event.data.get("code") or ""),
            message=str(event.data.get("message") or ""),
            ended_ms=event.at_ms,
        )
        for event in reversed(events)
        if event.kind == _ENDED
    ]
