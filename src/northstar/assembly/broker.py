"""What every broker runs over an open cell, alone as `serve` and beside a server and machines of its own in `up`."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import AsyncExitStack

import msgspec

from northstar.assembly.api import api_parts
from northstar.assembly.budgets import keep_budgets
from northstar.assembly.front import Front, OpenDoor, admission_to, running_front
from northstar.assembly.outputs import asset_store, retire_outputs
from northstar.assembly.parts import part, running_history, told
from northstar.assembly.routing import RoutingParts, keep_routing
from northstar.assembly.session import new_id
from northstar.assembly.webhook_keeping import keep_webhooks
from northstar.broker.dispatch import Dispatcher
from northstar.broker.job_log import JobLog
from northstar.config import Settings
from northstar.store.bells import Ring
from northstar.store.cell import Cell
from northstar.store.history import HistoryDatabase
from northstar.store.snapshots import CellReader


class Broker(msgspec.Struct, frozen=True, kw_only=True):
    """A broker that runs: where machines dial it, what it remembers by, and what decides where jobs wait."""

    front: Front
    history: HistoryDatabase
    routing: RoutingParts


async def start_broker(
    settings: Settings,
    cell: Cell,
    stack: AsyncExitStack,
    *,
    cell_id: str,
    broker: str,
    listening: socket.socket,
    open_door: OpenDoor,
    take_history: bool,
    failure: asyncio.Future[None],
) -> Broker:
    """Start the history, what time makes due, who may take what, outputs whose time is over, and last of all the front.

    All of it ends with `stack`; `failure` is done, with an error, when a part has ended that must not.

    `broker` is the id by which it has announced itself in the cell.

    Raises:
        Unavailable: the cell or its history cannot be used.
    """
    history = await running_history(settings, cell, stack, cell_id=cell_id, take=take_history, failure=failure)
    reader = CellReader(cell.client, cell.keys)
    routing = await keep_routing(settings, cell, history, stack, reader=reader, failure=failure)
    dispatcher = Dispatcher(
        cell,
        new_nonce=lambda: new_id()[-16:],
        plan_every_s=settings.dispatch.plan_every_s,
        tick_at_least_every_s=settings.dispatch.tick_every_s,
        terms=routing.ranking_terms,
        reader=reader,
    )
    await stack.enter_async_context(part("the dispatcher", dispatcher.run(), failure=failure))
    await stack.enter_async_context(part("the retention of outputs", retire_outputs(settings, cell), failure=failure))
    budgets = await keep_budgets(settings, cell, history, routing, stack, reader=reader, failure=failure)
    webhooks = await keep_webhooks(settings, cell, history, stack, failure=failure)
    job_log = JobLog(per_s=settings.log.job_lines_per_s, clock=time.monotonic)
    api = api_parts(
        cell,
        history,
        routing,
        webhooks=webhooks,
        reader=reader,
        assets=asset_store(settings),
        join_url=settings.join.url,
        budgets=lambda: budgets.seen,
        job_log=job_log,
    )

    def hear(ring: Ring) -> None:
        routing.hear(ring)
        budgets.hear(ring)

    opening = running_front(
        settings,
        cell,
        admission_to(cell),
        listening=listening,
        open_door=open_door,
        pools=lambda: routing.pools.latest,
        catalogue=lambda: routing.catalogue.latest,
        also_hear=hear,
        api=api,
        job_log=job_log,
        broker=broker,
    )
    front = await stack.enter_async_context(opening)
    # Before the front: whoever listens is told that this broker stops.
    stack.push_async_callback(api.live.close)
    front.ended.add_done_callback(told("the gateway", failure))
    return Broker(front=front, history=history, routing=routing)
