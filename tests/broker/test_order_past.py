"""What became of orders about models, for the operator who gave them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from northstar.broker.model_orders import order_eviction
from northstar.broker.order_past import OrderAnswerUnknown, OrderPast, OrderWaitTooLong
from northstar.store.history import HistoryDatabase, HistoryReader, HistoryWriter
from tests.servers import RunningServer
from tests.store.history.workplace import Workplace


@pytest_asyncio.fixture
async def place(broker_server: RunningServer) -> AsyncIterator[Workplace]:
    async with broker_server.client() as client:
        opened = Workplace(client)
        await opened.open()
        yield opened


@pytest_asyncio.fixture
async def database(tmp_path: Path) -> AsyncIterator[HistoryDatabase]:
    opened = HistoryDatabase(f"sqlite:///{tmp_path}/history.db")
    await opened.open()
    yield opened
    await opened.close()


def writer_of(place: Workplace, database: HistoryDatabase) -> HistoryWriter:
    return HistoryWriter(place.cell, database, jitter=random.Random(1).random, wait_ms=100, gather_s=0.0)


async def give(place: Workplace, *orders: str) -> None:
    for order in orders:
        await order_eviction(place.cell, "m", f"{order}.safetensors", order_id=order, by="test")


async def answer(place: Workplace, order: str, *, code: str = "") -> None:
    said = {"outcome": "failed" if code else "done", "code": code, "message": "it is in use" if code else ""}
    await place.cell.call("order_ended", {"machine": "m", "session": "s", "order": order} | said, dict[str, int])


async def test_ended_orders_are_told_latest_first_from_history_and_from_what_is_on_its_way(
    place: Workplace, database: HistoryDatabase
) -> None:
    past = OrderPast(place.cell, HistoryReader(database, cell=place.name))
    await give(place, "one", "two", "open")
    await answer(place, "one", code="NS_MODEL_IN_USE")
    await writer_of(place, database).step()
    await answer(place, "two")
    later, earlier = await past.ended("m")
    assert (later.order, later.outcome, later.code, later.what) == ("two", "done", "", "evict")
    assert (earlier.order, earlier.outcome, earlier.code) == ("one", "failed", "NS_MODEL_IN_USE")
    assert (earlier.what, earlier.model, earlier.message) == ("evict", "one.safetensors", "it is in use")
    assert [one.order for one in await past.ended("m", count=1)] == ["two"]


async def test_whoever_waits_for_an_order_is_told_when_it_is_answered(place: Workplace) -> None:
    past = OrderPast(place.cell, None)
    await give(place, "one")
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(past.answer("m", "one", timeout_s=20.0))
        await asyncio.sleep(0)
        await answer(place, "one", code="NS_MODEL_IN_USE")
    assert (waiting.result().outcome, waiting.result().code) == ("failed", "NS_MODEL_IN_USE")


async def test_an_answer_that_is_in_the_history_already_is_found_there(
    place: Workplace, database: HistoryDatabase
) -> None:
    await give(place, "one")
    await answer(place, "one")
    await writer_of(place, database).step()
    assert not await place.waiting_events()
    past = OrderPast(place.cell, HistoryReader(database, cell=place.name))
    assert (await past.answer("m", "one", timeout_s=20.0)).outcome == "done"
    with pytest.raises(OrderAnswerUnknown, match="m has answered order one"):
        await OrderPast(place.cell, None).answer("m", "one", timeout_s=20.0)


async def test_a_wait_has_an_end_and_the_order_stands(place: Workplace) -> None:
    await give(place, "one")
    with pytest.raises(OrderWaitTooLong, match="did not answer order one"):
        await OrderPast(place.cell, None).answer("m", "one", timeout_s=0.2)
    assert [order.id for order in await place.cell.pending_orders("m")] == ["one"]


async def test_an_order_of_a_machine_that_left_is_gone(place: Workplace) -> None:
    await give(place, "one")
    await place.cell.remove_machine("m", because="test", lost=False, nonce=place.nonce())
    (ended,) = await OrderPast(place.cell, None).ended("m")
    assert (ended.order, ended.outcome) == ("one", "gone")
    assert (await OrderPast(place.cell, None).answer("m", "one", timeout_s=20.0)).outcome == "gone"
