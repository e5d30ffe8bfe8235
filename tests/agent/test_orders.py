"""Orders about models: what happens to them whatever goes wrong on the machine, and in which order they are carried out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Literal

import pytest

from northstar.agent.orders import Orders
from northstar.broker.model_orders import order_eviction
from northstar.domain.errors import NorthstarError, Refused
from northstar.domain.machines import MachineDescription
from northstar.store.messages import StoredOrder
from tests.agent.rig import PROFILE, Rig, nonce, soon

TEXT_IN_TWO_BYTES = "é" * 2_000


class Book:
    """The broker's side, in memory: `refuse` is said to answers."""

    def __init__(self, *orders: StoredOrder, refuse: NorthstarError | None = None) -> None:
        self.open = {order.id: order for order in orders}
        self.refuse = refuse
        self.answers: list[tuple[str, str, str]] = []

    async def pending_orders(self) -> Sequence[StoredOrder]:
        return tuple(self.open.values())

    async def order_ended(self, order: str, *, outcome: str, code: str = "", message: str = "") -> None:
        self.answers.append((order, outcome, code))
        assert isinstance(message, str)
        if self.refuse is not None:
            raise self.refuse
        del self.open[order]


def stored(order: str, what: Literal["fetch", "evict"], model: str) -> StoredOrder:
    return StoredOrder(order, what, model, "", 0)


@contextlib.asynccontextmanager
async def carrying_out(book: Book, carry_out: Callable[[StoredOrder], object]) -> AsyncIterator[Orders]:
    async def done(order: StoredOrder) -> None:
        result = carry_out(order)
        if asyncio.isfuture(result):
            await result

    orders = Orders(book, done, retry_s=0.01)  # type: ignore[arg-type]  # what it asks of a link is here
    running = asyncio.create_task(orders.run())
    orders.look()
    yield orders
    assert not running.done(), "nothing that an order meets ends the agent"
    running.cancel()
    await asyncio.wait([running])


async def test_an_order_that_cannot_be_read_is_answered_and_ends_nothing() -> None:
    def unreadable(order: StoredOrder) -> None:
        raise ValueError(order.body)

    book = Book(stored("one", "fetch", "a"))
    async with carrying_out(book, unreadable):
        await soon(lambda: not book.open, "it is answered")
    assert book.answers == [("one", "failed", "NS_WORKER_FAULT")]


async def test_an_answer_that_is_refused_ends_nothing() -> None:
    book = Book(stored("one", "evict", "a"), refuse=Refused("no"))
    async with carrying_out(book, lambda _: None) as orders:
        await soon(lambda: len(book.answers) == 1, "it is answered")
        orders.look()
        await soon(lambda: len(book.answers) == 2, "it is answered again, since it still stands")


async def test_orders_about_one_model_are_carried_out_in_the_order_in_which_they_were_given() -> None:
    begun: list[str] = []
    gates = {name: asyncio.get_running_loop().create_future() for name in ("fetch-a", "evict-a", "evict-b")}

    def carry_out(order: StoredOrder) -> asyncio.Future[None]:
        begun.append(order.id)
        return gates[order.id]

    book = Book(stored("fetch-a", "fetch", "a"), stored("evict-a", "evict", "a"), stored("evict-b", "evict", "b"))
    async with carrying_out(book, carry_out) as orders:
        await soon(lambda: begun == ["fetch-a", "evict-b"], "of each model the first has begun")
        orders.look()
        gates["fetch-a"].set_result(None)
        await soon(lambda: begun[2:] == ["evict-a"], "the second follows the first")
        gates["evict-a"].set_result(None)
        gates["evict-b"].set_result(None)
        await soon(lambda: not book.open, "all are answered")
    assert len(begun) == 3


@pytest.mark.parametrize("letters", [500, 2_000])
async def test_a_sentence_of_any_alphabet_is_taken_with_an_answer(either_rig: Rig, letters: int) -> None:
    link = await either_rig.link()
    await link.register(PROFILE, MachineDescription(), slots=1, models=())
    given = await order_eviction(either_rig.cell, "m", "a", order_id=nonce(), by="test")
    said = TEXT_IN_TWO_BYTES[:letters]
    await either_rig.model_link(link).order_ended(given.order, outcome="failed", code="NS_X", message=said)
    assert not await either_rig.cell.pending_orders("m")
