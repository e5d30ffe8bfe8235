"""Receivers of webhooks that take nothing: whoever looks at a cell should not have to ask each webhook how it fares."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from northstar.broker.webhooks.registry import WebhookRegistry
    from northstar.store.history.webhook_log import DeliveryLog


class FailingWebhook(msgspec.Struct, frozen=True, kw_only=True):
    """One of them. Times are ms since the epoch; 0 is "not"."""

    id: str
    url: str
    #: Since when nothing has got through, although it was tried.
    since_ms: int = 0
    #: Why nothing is sent any more; empty: it still is.
    off: str = ""


async def failing_webhooks(registry: WebhookRegistry, log: DeliveryLog | None) -> tuple[FailingWebhook, ...]:
    """Those that fail, or were switched off for that, the longest first. Without a log only the latter are known.

    Raises:
        Unavailable: the cell, or the log, does not answer.
    """
    known = {webhook_id: webhook for webhook_id, (_, webhook) in (await registry.all()).items()}
    since = await log.failing() if log is not None and known else {}
    found = [
        FailingWebhook(id=webhook_id, url=webhook.url, since_ms=since.get(webhook_id, 0), off=webhook.off)
        for webhook_id, webhook in known.items()
        if (webhook.off and webhook.off != registry.BY_HAND) or (not webhook.off and since.get(webhook_id))
    ]
    return tuple(sorted(found, key=lambda one: (one.since_ms, one.id)))
