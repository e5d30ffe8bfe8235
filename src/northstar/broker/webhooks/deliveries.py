"""Trying a receiver, looking at what it was sent, and sending again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from northstar.broker.webhooks.failing import failing_webhooks
from northstar.domain.events import EventId
from northstar.domain.webhooks import TEST_KIND, NoSuchDelivery, WebhookOff
from northstar.policy.webhooks.body import trial_body
from northstar.store.history.webhook_making import NewDelivery

if TYPE_CHECKING:
    from collections.abc import Callable

    from northstar.broker.webhooks.failing import FailingWebhook
    from northstar.broker.webhooks.registry import WebhookRegistry
    from northstar.domain.webhooks import (
        Delivery,
        DeliveryPage,
        Redelivered,
        StoredWebhook,
        WebhookChange,
        WebhookHealth,
        WebhookView,
    )
    from northstar.store.history.webhook_log import DeliveryLog


class Deliveries:
    """Deliveries of one cell's webhooks. `new_id` gives ids that nobody else has, `now_ms` is this host's time."""

    def __init__(
        self,
        registry: WebhookRegistry,
        log: DeliveryLog,
        *,
        new_id: Callable[[], str],
        now_ms: Callable[[], int],
    ) -> None:
        self._registry = registry
        self._log = log
        self._new_id = new_id
        self._now_ms = now_ms

    async def page(self, webhook_id: str, *, status: str = "", cursor: str = "", count: int = 50) -> DeliveryPage:
        """Deliveries, the latest first. Raises NoSuchWebhook, HistoryQueryInvalid, Unavailable."""
        await self._registry.get(webhook_id)
        return await self._log.page(webhook_id, status=status, cursor=cursor, count=count)

    async def get(self, webhook_id: str, delivery_id: str) -> Delivery:
        """One delivery. Raises NoSuchWebhook, NoSuchDelivery, Unavailable."""
        await self._registry.get(webhook_id)
        return await self._log.get(webhook_id, _expected(delivery_id))

    async def health(self, webhook_id: str) -> WebhookHealth:
        """How the receiver behaves. Raises Unavailable."""
        return await self._log.health(webhook_id)

    async def failing(self) -> tuple[FailingWebhook, ...]:
        """Receivers that take nothing, whosever they are. Raises Unavailable."""
        return await failing_webhooks(self._registry, self._log)

    async def test(self, webhook_id: str) -> Delivery:
        """Send something that tells of nothing. Raises NoSuchWebhook, WebhookOff, WebhookFull, Unavailable."""
        webhook = await self._on(webhook_id)
        now_ms, name = self._now_ms(), self._new_id()
        trial = NewDelivery(
            event=EventId(0, now_ms),
            kind=TEST_KIND,
            subject=f"test {name}",  # each by itself: none waits for another
            body=trial_body(webhook_id, kind=TEST_KIND, at_ms=now_ms).decode(),
        )
        since = EventId.parse(webhook.since)
        return await self._log.add(webhook_id, trial, name=f"msg_{webhook_id}_{name}", since=since, now_ms=now_ms)

    async def redeliver(self, webhook_id: str, delivery_id: str) -> Delivery:
        """Send one again, under the same `webhook-id`. Raises NoSuchWebhook, NoSuchDelivery, WebhookOff, WebhookFull, Unavailable."""
        await self._on(webhook_id)
        return await self._log.redeliver(webhook_id, _expected(delivery_id), now_ms=self._now_ms())

    async def redeliver_failed(self, webhook_id: str, *, since_ms: int) -> Redelivered:
        """Send what was given up again. Raises NoSuchWebhook, WebhookOff, WebhookFull, Unavailable."""
        await self._on(webhook_id)
        return await self._log.redeliver_failed(webhook_id, since_ms=since_ms, now_ms=self._now_ms())

    async def change(self, webhook_id: str, change: WebhookChange, *, by: str) -> WebhookView:
        """Change a webhook; one that is switched on again counts as healthy. Raises as `WebhookRegistry.change`."""
        if change.enabled:
            await self._log.forgive(webhook_id)  # first, so that an old failure does not switch it off again
        return await self._registry.change(webhook_id, change, by=by)

    async def _on(self, webhook_id: str) -> StoredWebhook:
        _, webhook = await self._registry.get(webhook_id)
        if webhook.off:
            raise WebhookOff(webhook_id, reason=webhook.off)
        return webhook


def _expected(delivery_id: str) -> str:
    """Raises NoSuchDelivery: no delivery has such an id, and no database is asked for it."""
    if not delivery_id.startswith("msg_") or not delivery_id.isascii() or not delivery_id.isprintable():
        raise NoSuchDelivery(delivery_id)
    return delivery_id
