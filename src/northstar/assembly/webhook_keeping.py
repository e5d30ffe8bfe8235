"""What makes and sends deliveries of webhooks, as a part of a broker."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import AsyncExitStack
from typing import Final

from northstar.assembly.parts import part
from northstar.assembly.session import new_id, wall_clock_ms
from northstar.assembly.webhooks import allowed_networks, deliveries_of, key_holder, registry_of
from northstar.broker.webhooks.desk import WebhookDesk
from northstar.broker.webhooks.keeping import KeepingRule, WebhookKeeper
from northstar.broker.webhooks.making import DeliveryMaker
from northstar.broker.webhooks.posting import Poster
from northstar.broker.webhooks.sending import SendingRule, WebhookSender
from northstar.config import Settings
from northstar.store.cell import Cell
from northstar.store.history import HistoryDatabase

_DAY_MS: Final = 86_400_000
#: An attempt counts as lost with its process so long after it must have been over.
_LEASE_MS: Final = 10_000


async def keep_webhooks(
    settings: Settings, cell: Cell, history: HistoryDatabase, stack: AsyncExitStack, *, failure: asyncio.Future[None]
) -> WebhookDesk:
    """Make and send deliveries beside us; gives what clients ask for webhooks."""
    wanted, registry = settings.webhooks, registry_of(cell, settings)
    poster = await stack.enter_async_context(
        Poster(
            allowed=allowed_networks(settings),
            timeout_s=wanted.timeout_s,
            monotonic=time.monotonic,
            now_s=time.time,
            at_once=wanted.at_once,
        )
    )
    sender = WebhookSender(
        cell.name,
        history,
        registry,
        key_holder(settings),
        poster,
        rule=SendingRule(
            at_once=wanted.at_once,
            per_receiver=wanted.per_receiver,
            lease_ms=int(wanted.timeout_s * 1000) + _LEASE_MS,
            off_after_ms=int(wanted.off_after_days * _DAY_MS),
        ),
        now_ms=wall_clock_ms,
        jitter=random.random,
        new_id=new_id,
    )
    keeper = WebhookKeeper(
        cell,
        history,
        registry,
        DeliveryMaker(cell, history, now_ms=wall_clock_ms),
        sender,
        rule=KeepingRule(keep_ms=int(wanted.keep_days * _DAY_MS), keep=wanted.keep_deliveries),
        now_ms=wall_clock_ms,
    )
    await stack.enter_async_context(part("the webhooks", keeper.run(), failure=failure))
    return WebhookDesk(registry, deliveries_of(cell, registry, history))
