"""Sending what is due: several receivers at once, few deliveries of each, and of each job one after the other."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from northstar.domain.errors import Unavailable
from northstar.policy.webhooks.schedule import pause_ms
from northstar.policy.webhooks.signing import headers
from northstar.store.history.webhook_rows import read_states
from northstar.store.history.webhook_sending import Claimed, Room, Settled, exchange, release
from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from northstar.broker.webhooks.posting import Answer, Poster
    from northstar.broker.webhooks.registry import WebhookRegistry
    from northstar.broker.webhooks.signing_key import KeyHolder
    from northstar.domain.webhooks import StoredWebhook
    from northstar.store.history import HistoryDatabase

log = logger(__name__)

#: Who switches a webhook off, for the record.
_BY: Final = "webhooks"


class SendingRule(msgspec.Struct, frozen=True, kw_only=True):
    """How much at once, and how long."""

    at_once: int = 64
    per_receiver: int = 8
    #: After so long an attempt counts as lost with its process; well above what one may take.
    lease_ms: int = 60_000
    #: A receiver that has taken nothing for so long is sent nothing more.
    off_after_ms: int = 5 * 86_400_000
    #: How long attempts that are under way are waited for when the process stops, in seconds.
    stop_s: float = 2.0


class WebhookSender:
    """Sends the deliveries of one cell that are due. `jitter` gives random numbers in [0, 1)."""

    def __init__(
        self,
        cell: str,
        database: HistoryDatabase,
        registry: WebhookRegistry,
        keys: KeyHolder,
        poster: Poster,
        *,
        rule: SendingRule,
        now_ms: Callable[[], int],
        jitter: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        self._cell = cell
        self._database = database
        self._registry = registry
        self._keys = keys
        self._poster = poster
        self._rule = rule
        self._now_ms = now_ms
        self._jitter = jitter
        self._new_id = new_id
        self._running: dict[asyncio.Task[None], Claimed] = {}
        self._settled: list[Settled] = []
        #: Set when something is to be settled.
        self.news = asyncio.Event()

    async def turn(self, webhooks: Mapping[str, StoredWebhook], *, may_sign: bool = True) -> int:
        """Note what became of attempts and begin others; gives how many. `webhooks` are switched on. Raises Unavailable."""
        self.news.clear()
        settled = self._settled[:]
        free = self._rule.at_once - len(self._running)
        if not settled and (not webhooks or not may_sign or free <= 0):
            return 0
        work = partial(
            exchange,
            cell=self._cell,
            settled=settled,
            room=Room(in_all=free if may_sign else 0, per_receiver=self._rule.per_receiver),
            webhooks=webhooks.keys() - {one.claimed.webhook for one in settled if one.error == "gone"},
            holder=self._new_id(),
            now_ms=self._now_ms(),
            lease_ms=self._rule.lease_ms,
        )
        claimed = await self._database.write(work)
        del self._settled[: len(settled)]
        for one in claimed:
            task = asyncio.create_task(self._attempt(one, webhooks[one.webhook]), name=f"webhook {one.id}")
            self._running[task] = one
            task.add_done_callback(self._ended)
        await self._switch_off(settled)
        return len(claimed)

    async def idle(self) -> None:
        """Until no attempt is under way."""
        while self._running:
            await asyncio.wait(self._running)

    async def close(self) -> None:
        """Wait a moment for what is under way, note what is over, and give back the rest, so that another process sends it at once."""
        held = dict(self._running)
        if held:
            await asyncio.wait(held, timeout=self._rule.stop_s)
            for task in held:
                task.cancel()
            await asyncio.wait(held)
        over = {one.claimed.id for one in self._settled}
        now_ms = self._now_ms()
        try:
            await self.turn({})
            rest = [one for one in held.values() if one.id not in over]
            await self._database.write(partial(release, cell=self._cell, held=rest, now_ms=now_ms))
        except Unavailable as exc:
            log.warning(
                "webhooks_not_given_back", code=exc.code, error=str(exc)
            )  # they count as lost after their lease

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)
        if not task.cancelled() and (exc := task.exception()) is not None:
            log.error("webhook_attempt_broke", cell=self._cell, error=repr(exc))  # sent again after its lease
        self.news.set()

    async def _attempt(self, one: Claimed, webhook: StoredWebhook) -> None:
        now_ms, body, key = self._now_ms(), one.body.encode(), self._keys.key()
        secrets = [key.secret(one.webhook, number) for number in webhook.signing(now_ms=now_ms)]
        signed = headers(secrets, message_id=one.id, timestamp_s=now_ms // 1000, body=body)
        answer = await self._poster.post(webhook.url, body, signed)
        self._settled.append(self._judged(one, answer, tried_ms=now_ms))

    def _judged(self, one: Claimed, answer: Answer, *, tried_ms: int) -> Settled:
        told = Settled(
            claimed=one,
            outcome="delivered",
            tried_ms=tried_ms,
            error=answer.error,
            message=answer.message,
            answer_status=answer.status,
            answer=answer.text,
            took_ms=answer.took_ms,
        )
        if not answer.error:
            return told
        pause = pause_ms(one.attempts + 1, jitter=self._jitter(), retry_after_s=answer.retry_after_s)
        if pause is None or answer.error == "gone":
            return msgspec.structs.replace(told, outcome="failed")
        return msgspec.structs.replace(told, outcome="again", due_ms=self._now_ms() + pause)

    async def _switch_off(self, settled: list[Settled]) -> None:
        """Receivers that want nothing more, or have taken nothing for days."""
        failed = {one.claimed.webhook for one in settled if one.error}
        if not failed:
            return
        gone = {one.claimed.webhook for one in settled if one.error == "gone"}
        states = await self._database.read(partial(read_states, cell=self._cell))
        for webhook in sorted(failed):
            since_ms = states[webhook].failing_since_ms if webhook in states else 0
            if webhook in gone:
                reason = "its receiver answered 410 Gone"
            elif since_ms and self._now_ms() - since_ms >= self._rule.off_after_ms:
                reason = f"its receiver has taken nothing for {self._rule.off_after_ms / 86_400_000:g} days"
            else:
                continue
            log.warning("webhook_switched_off", cell=self._cell, webhook=webhook, reason=reason)
            await self._registry.switch_off(webhook, reason=reason, by=_BY)
