"""The part of a broker that looks after its cell's webhooks: makes deliveries, sends them, and keeps them within bounds."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from northstar.broker.webhooks.registry import KIND
from northstar.domain.errors import NorthstarError, Unavailable
from northstar.domain.webhooks import StoredWebhook, WebhookKeyForeign, WebhookKeyMissing
from northstar.store.documents import DocumentsView, DocumentUnreadable, read_document
from northstar.store.history.webhook_rows import read_states
from northstar.store.history.webhook_upkeep import PIECE, forget, give_up, prune_deliveries
from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from northstar.broker.webhooks.making import DeliveryMaker
    from northstar.broker.webhooks.registry import WebhookRegistry
    from northstar.broker.webhooks.sending import WebhookSender
    from northstar.store.cell import Cell
    from northstar.store.documents import Document
    from northstar.store.history import HistoryDatabase

log = logger(__name__)

_UPKEEP_MS: Final = 60_000
_MAX_PAUSE_S: Final = 10.0


class KeepingRule(msgspec.Struct, frozen=True, kw_only=True):
    """How long, and how many, deliveries that are over are remembered of each webhook."""

    keep_ms: int = 30 * 86_400_000
    keep: int = 10_000


class WebhookKeeper:
    """Looks after the webhooks of one cell; any number of processes may."""

    def __init__(
        self,
        cell: Cell,
        database: HistoryDatabase,
        registry: WebhookRegistry,
        maker: DeliveryMaker,
        sender: WebhookSender,
        *,
        rule: KeepingRule,
        now_ms: Callable[[], int],
        poll_s: float = 1.0,
    ) -> None:
        self._cell = cell
        self._database = database
        self._registry = registry
        self._maker = maker
        self._sender = sender
        self._rule = rule
        self._now_ms = now_ms
        self._poll_s = poll_s
        self._view = DocumentsView(cell.client, cell.keys, KIND, decode=_decoded)
        self._upkeep_ms = 0
        #: Why nothing is signed here; None when all is well.
        self.key_fault: Unavailable | None = None

    async def run(self) -> None:
        """Until cancelled. A cell or a database that does not answer is waited for, with a line in the log."""
        failures = 0
        try:
            while True:
                pause_s = self._poll_s
                try:
                    if await self.turn():
                        pause_s = 0.0
                    failures = 0
                except NorthstarError as exc:  # also a refusal: webhooks are no reason for a broker to stop
                    failures += 1
                    log.warning("webhooks_wait", cell=self._cell.name, code=exc.code, error=str(exc), failures=failures)
                    pause_s = min(_MAX_PAUSE_S, self._poll_s * 2 ** min(failures, 8))
                    await asyncio.sleep(pause_s)
                    continue
                await self._until_news(pause_s)
        finally:
            await self._sender.close()

    async def turn(self) -> bool:
        """Do what there is to do now; whether there is more at once. Raises Unavailable."""
        changed = await self._view.refresh()
        webhooks = self._view.values
        if not webhooks and not changed and self._now_ms() < self._upkeep_ms:
            await self._sender.turn({})
            return False
        on = {name: webhook for name, webhook in webhooks.items() if not webhook.off}
        more = bool(on) and await self._maker.turn(on)
        if changed or self._now_ms() >= self._upkeep_ms:
            await self._check_key(on)
            more = await self._keep_up(webhooks) or more
        await self._sender.turn(on, may_sign=self.key_fault is None)
        return more

    async def _until_news(self, pause_s: float) -> None:
        """Until an attempt has ended, for at most this long."""
        try:
            async with asyncio.timeout(pause_s):
                await self._sender.news.wait()
        except TimeoutError:
            return

    async def _check_key(self, on: Mapping[str, StoredWebhook]) -> None:
        """A process with another key, or none, signs nothing; others, with the right one, send meanwhile."""
        before, self.key_fault = self.key_fault, None
        if not on:
            return
        try:
            await self._registry.expect_key()
        except (WebhookKeyMissing, WebhookKeyForeign) as exc:
            self.key_fault = exc
            if before is None or before.code != exc.code:
                log.warning("webhooks_not_sent", cell=self._cell.name, code=exc.code, error=str(exc))

    async def _keep_up(self, webhooks: Mapping[str, StoredWebhook]) -> bool:
        """A piece of what nobody is to be sent, or to remember, any more; whether there is more of it."""
        now_ms, more = self._now_ms(), False
        for name in await self._database.read(partial(read_states, cell=self._cell.name)):
            webhook = webhooks.get(name)
            if webhook is None:
                more = await self._forget(name) or more
                continue
            if webhook.off:
                message = f"the webhook was switched off: {webhook.off}"
                given_up = partial(give_up, cell=self._cell.name, webhook=name, error="off", message=message)
                more = await self._database.write(given_up) == PIECE or more
            pruned = partial(
                prune_deliveries,
                cell=self._cell.name,
                webhook=name,
                older_than_ms=now_ms - self._rule.keep_ms,
                keep=self._rule.keep,
            )
            more = await self._database.write(pruned) >= PIECE or more
        self._upkeep_ms = now_ms if more else now_ms + _UPKEEP_MS
        return more

    async def _forget(self, name: str) -> bool:
        """Deliveries of a webhook that was removed; of one that only this version cannot read, none."""
        try:
            if await read_document(self._cell.client, self._cell.keys, KIND, name) is not None:
                return False
        except DocumentUnreadable:
            return False
        return await self._database.write(partial(forget, cell=self._cell.name, webhook=name)) == PIECE


def _decoded(document: Document) -> StoredWebhook:
    """Raises MsgspecError, as a view of documents wants it."""
    return msgspec.json.decode(document.body, type=StoredWebhook)
