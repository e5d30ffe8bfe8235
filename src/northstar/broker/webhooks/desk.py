"""What clients ask of webhooks by HTTP: each key reaches those of its tenant, and no others are there for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from northstar.domain.api_keys import Scope
from northstar.domain.webhooks import NoSuchWebhook, Webhooks
from northstar.policy.webhooks.kinds import are_of_jobs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from northstar.broker.webhooks.deliveries import Deliveries
    from northstar.broker.webhooks.failing import FailingWebhook
    from northstar.broker.webhooks.registry import WebhookRegistry
    from northstar.domain.api_keys import Caller
    from northstar.domain.webhooks import (
        Delivery,
        DeliveryPage,
        NewWebhook,
        Redelivered,
        StoredWebhook,
        WebhookChange,
        WebhookTerms,
        WebhookView,
    )


class WebhookDesk:
    """The webhooks of one cell as keys reach them.

    A webhook tells its receiver what a key with `read` could look at, so who makes one, or changes where it leads, needs that scope
    too; and `admin` where it tells of more than jobs.
    """

    def __init__(self, registry: WebhookRegistry, deliveries: Deliveries) -> None:
        self._registry = registry
        self._deliveries = deliveries

    async def make(self, caller: Caller, terms: WebhookTerms) -> NewWebhook:
        """Make a webhook of the key's tenant. Raises ScopeMissing, TenantForeign, and as `WebhookRegistry.make`."""
        _expect_may_read(caller, terms.events)
        theirs = msgspec.structs.replace(terms, tenant=caller.tenant_for(terms.tenant))
        return await self._registry.make(theirs, by=caller.by)

    async def failing(self) -> tuple[FailingWebhook, ...]:
        """Receivers that take nothing, of all tenants: for whoever may see the whole cell. Raises Unavailable."""
        return await self._deliveries.failing()

    async def all(self, caller: Caller) -> Webhooks:
        """The webhooks that the key reaches, the oldest first."""
        views = await self._registry.views()
        return Webhooks(webhooks=tuple(view for view in views if _reaches(caller, view.tenant)))

    async def get(self, caller: Caller, webhook_id: str) -> WebhookView:
        """One webhook, and how its receiver behaves. Raises NoSuchWebhook."""
        await self._reached(caller, webhook_id)
        view = await self._registry.view(webhook_id)
        return msgspec.structs.replace(view, health=await self._deliveries.health(webhook_id))

    async def change(self, caller: Caller, webhook_id: str, change: WebhookChange) -> WebhookView:
        """Change what is named. Raises NoSuchWebhook, ScopeMissing, WebhookInvalid, DocumentChanged."""
        webhook = await self._reached(caller, webhook_id)
        _expect_may_read(caller, (*webhook.events, *(change.events or ())))
        return await self._deliveries.change(webhook_id, change, by=caller.by)

    async def remove(self, caller: Caller, webhook_id: str) -> None:
        """Forget a webhook and its deliveries. Raises NoSuchWebhook."""
        await self._reached(caller, webhook_id)
        await self._registry.remove(webhook_id, by=caller.by)

    async def rotate(self, caller: Caller, webhook_id: str, *, grace_s: float) -> NewWebhook:
        """Give a webhook another secret. Raises NoSuchWebhook, ScopeMissing, and as `WebhookRegistry.rotate`."""
        webhook = await self._reached(caller, webhook_id)
        _expect_may_read(caller, webhook.events)
        return await self._registry.rotate(webhook_id, grace_s=grace_s, by=caller.by)

    async def test(self, caller: Caller, webhook_id: str) -> Delivery:
        """Send something that tells of nothing. Raises as `Deliveries.test`."""
        await self._reached(caller, webhook_id)
        return await self._deliveries.test(webhook_id)

    async def deliveries(
        self, caller: Caller, webhook_id: str, *, status: str, cursor: str, count: int
    ) -> DeliveryPage:
        """What was sent, the latest first. Raises as `Deliveries.page`."""
        await self._reached(caller, webhook_id)
        return await self._deliveries.page(webhook_id, status=status, cursor=cursor, count=count)

    async def delivery(self, caller: Caller, webhook_id: str, delivery_id: str) -> Delivery:
        """One delivery. Raises as `Deliveries.get`."""
        await self._reached(caller, webhook_id)
        return await self._deliveries.get(webhook_id, delivery_id)

    async def redeliver(self, caller: Caller, webhook_id: str, delivery_id: str) -> Delivery:
        """Send one again. Raises as `Deliveries.redeliver`."""
        await self._reached(caller, webhook_id)
        return await self._deliveries.redeliver(webhook_id, delivery_id)

    async def redeliver_failed(self, caller: Caller, webhook_id: str, *, since_ms: int) -> Redelivered:
        """Send what was given up again. Raises as `Deliveries.redeliver_failed`."""
        await self._reached(caller, webhook_id)
        return await self._deliveries.redeliver_failed(webhook_id, since_ms=since_ms)

    async def _reached(self, caller: Caller, webhook_id: str) -> StoredWebhook:
        """A webhook of somebody else's is as one that does not exist."""
        _, webhook = await self._registry.get(webhook_id)
        if not _reaches(caller, webhook.tenant):
            raise NoSuchWebhook(webhook_id)
        return webhook


def _reaches(caller: Caller, tenant: str | None) -> bool:
    """A webhook of all tenants is the business of keys of all tenants."""
    return caller.tenant is None or caller.tenant == tenant


def _expect_may_read(caller: Caller, events: Iterable[str]) -> None:
    """Raises ScopeMissing."""
    caller.expect(Scope.READ if are_of_jobs(events) else Scope.ADMIN)
