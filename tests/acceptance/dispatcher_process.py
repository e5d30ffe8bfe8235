"""A process that keeps a cell moving, as `serve` will."""

from __future__ import annotations

from northstar.broker.dispatch import Dispatcher
from tests.acceptance.orders import DispatcherOrders, main, nonce, opened


async def work(orders: DispatcherOrders) -> None:
    async with opened(orders) as cell:
        await Dispatcher(cell, new_nonce=nonce).run()


if __name__ == "__main__":
    main(DispatcherOrders, work)
