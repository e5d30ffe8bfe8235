"""A cell, its history, and processes that look after its webhooks, on a clock that the test holds."""

from __future__ import annotations

import itertools
import random
import secrets
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
from aiohttp.abc import AbstractResolver

from northstar.broker.webhooks.deliveries import Deliveries
from northstar.broker.webhooks.keeping import KeepingRule, WebhookKeeper
from northstar.broker.webhooks.making import DeliveryMaker
from northstar.broker.webhooks.posting import Poster
from northstar.broker.webhooks.registry import WebhookRegistry
from northstar.broker.webhooks.sending import SendingRule, WebhookSender
from northstar.broker.webhooks.signing_key import KeyHolder
from northstar.domain.webhooks import Delivery, NewWebhook, WebhookTerms
from northstar.policy.admission.addresses import network
from northstar.store.history import HistoryDatabase, HistoryWriter
from northstar.store.history.webhook_log import DeliveryLog
from tests.store.history.workplace import NOON_MS, Workplace

KEY = "a2V5IG9mIHRoZSBpbnN0YWxsYXRpb24sIHF1aXRlIGxvbmc="
_LEASE_MS = 60_000
_IDS = itertools.count(1)


class Post(msgspec.Struct, frozen=True):
    """What one process has for webhooks."""

    keeper: WebhookKeeper
    sender: WebhookSender
    registry: WebhookRegistry

    async def round(self) -> None:
        """Make and send what there is to make and send now, and note what became of it."""
        for _ in range(100):
            more = await self.keeper.turn()
            await self.sender.idle()
            if not more and not self.sender.news.is_set():
                return
        raise AssertionError("there is no end to it")


class Office:
    """Short words for what tests of webhooks do."""

    def __init__(self, workplace: Workplace, database: HistoryDatabase, stack: AsyncExitStack) -> None:
        self.workplace = workplace
        self.cell = workplace.cell
        self.database = database
        self.now_ms = NOON_MS
        self._stack = stack
        self._writer = HistoryWriter(workplace.cell, database, jitter=random.Random(1).random)
        self.registry = self._registry(KEY)
        self.deliveries = Deliveries(
            self.registry,
            DeliveryLog(database, cell=self.cell.name),
            new_id=self.new_id,
            now_ms=lambda: self.now_ms,
        )

    @staticmethod
    def new_id() -> str:
        return f"id{next(_IDS)}"

    def _registry(self, key: str) -> WebhookRegistry:
        return WebhookRegistry(
            self.cell,
            KeyHolder(text=key, file=Path("/nowhere")),
            allowed=[network("127.0.0.0/8")],
            random_bytes=secrets.token_bytes,
            now_ms=lambda: self.now_ms,
        )

    async def post(
        self,
        *,
        key: str = KEY,
        allowed: Sequence[str] = ("127.0.0.0/8",),
        timeout_s: float = 5.0,
        resolver: AbstractResolver | None = None,
        rule: dict[str, Any] | None = None,
        keeping: dict[str, Any] | None = None,
    ) -> Post:
        """One process more."""
        poster = await self._stack.enter_async_context(
            Poster(
                allowed=[network(text) for text in allowed],
                timeout_s=timeout_s,
                monotonic=time.monotonic,
                now_s=lambda: self.now_ms / 1000,
                resolver=None if resolver is None else lambda: resolver,
            )
        )
        registry = self._registry(key)
        sender = WebhookSender(
            self.cell.name,
            self.database,
            registry,
            KeyHolder(text=key, file=Path("/nowhere")),
            poster,
            rule=SendingRule(**{"lease_ms": _LEASE_MS, "stop_s": 0.0} | (rule or {})),
            now_ms=lambda: self.now_ms,
            jitter=lambda: 0.0,
            new_id=self.new_id,
        )
        self._stack.push_async_callback(sender.close)
        keeper = WebhookKeeper(
            self.cell,
            self.database,
            registry,
            DeliveryMaker(self.cell, self.database, now_ms=lambda: self.now_ms),
            sender,
            rule=KeepingRule(**keeping or {}),
            now_ms=lambda: self.now_ms,
        )
        return Post(keeper, sender, registry)

    async def webhook(self, url: str, *events: str, tenant: str | None = None) -> NewWebhook:
        terms = WebhookTerms(url=url, events=events or ("all",), tenant=tenant)
        return await self.registry.make(terms, by="test")

    async def write(self) -> None:
        """What has happened in the cell is in the history."""
        while await self._writer.step():
            pass

    async def run(self, *jobs: str, tenant: str = "default") -> None:
        """Jobs that are submitted, run and succeed, all of it in the history: three events each."""
        await self.workplace.run(*jobs, tenant=tenant)
        await self.write()

    def later(self, *, s: float) -> None:
        self.now_ms += int(s * 1000)
        self.workplace.later(int(s * 1000))

    async def log(self, made: NewWebhook, **asked: Any) -> list[Delivery]:
        """The deliveries in the order in which they happened."""
        page = await self.deliveries.page(made.webhook.id, count=500, **asked)
        return sorted(page.deliveries, key=lambda one: tuple(map(_number, one.id.split("_")[2:])))


def _number(text: str) -> int:
    return int(text.removeprefix("id"))
