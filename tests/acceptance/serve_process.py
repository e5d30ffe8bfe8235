"""A broker as `northstar serve` runs it, with a heartbeat beside it."""

from __future__ import annotations

from northstar.assembly.serve import running_serve
from northstar.config import load
from northstar.surfaces.http.server import open_door
from tests.acceptance.orders import ServeOrders, main


async def work(orders: ServeOrders) -> None:
    settings = load(environment={}, file=orders.settings, options={"valkey.url": orders.url, "cell": orders.cell})
    async with running_serve(settings, open_door=open_door) as running:
        draft = orders.port.with_suffix(".draft")
        draft.write_text(running.front.url.rpartition(":")[2])
        draft.replace(orders.port)
        await running.failure


if __name__ == "__main__":
    main(ServeOrders, work)
