"""A process with one or more machines that dial a broker. Their work is to wait, and to say when it began."""

from __future__ import annotations

import asyncio
import random

import aiohttp

from northstar.agent.dialing import Dialling
from northstar.agent.presence import FixedPresence
from northstar.agent.websocket_connection import LinkOptions
from northstar.agent.websocket_link import WebSocketLink
from northstar.agent.worker import Worker
from northstar.agent.worker_settings import WorkerSettings
from northstar.connectors.secret import Secret
from northstar.domain.machines import MachineDescription, MachineProfile
from northstar.domain.models import ModelHeld
from tests.acceptance.heartbeat import beat
from tests.acceptance.journal import Journal
from tests.acceptance.orders import AgentOrders, main, nonce
from tests.acceptance.worker_process import Waits, keep_refusals

#: As behind every broker: looking for oneself is for the day on which the broker forgot.
RECLAIM_EVERY_S = 15.0


async def live(http: aiohttp.ClientSession, name: str, token: str, orders: AgentOrders) -> None:
    """Be one machine until the process ends."""
    link = WebSocketLink(
        http,
        Dialling(http_url=orders.broker, token=Secret(token)),
        machine=name,
        session=nonce(),
        version="test",
        new_nonce=nonce,
        jitter=random.random,
        options=LinkOptions(ping_every_s=orders.ping_every_s),
    )
    async with link:
        beating = asyncio.create_task(beat(orders.heartbeat.with_name(f"{name}.beat"), while_=lambda: link.connected))
        worker = Worker(
            link,
            Waits(Journal(orders.journal)),
            profile=MachineProfile(pools=("standard",), services=("waits",)),
            presence=FixedPresence(
                MachineDescription(download_bytes_per_s=orders.download_bytes_per_s),
                [ModelHeld(model, "resident", 1_000) for model in orders.models if name == orders.machines[0]],
            ),
            settings=WorkerSettings(
                slots=orders.slots,
                renew_every_s=orders.renew_every_s,
                reclaim_every_s=RECLAIM_EVERY_S,
                drain_s=orders.drain_s,
                batch=32,
            ),
            jitter=random.Random(orders.seed).random,
        )
        try:
            await worker.run()
        finally:
            beating.cancel()


async def work(orders: AgentOrders) -> None:
    keep_refusals(Journal(orders.journal))
    async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as tasks:
        for name, token in zip(orders.machines, orders.tokens, strict=True):
            tasks.create_task(live(http, name, token, orders))


if __name__ == "__main__":
    main(AgentOrders, work)
