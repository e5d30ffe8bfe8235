"""From the events in the history to deliveries; each process may do this, and each event becomes one for each webhook that wants it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from northstar.broker.webhooks.job_facts import facts_of
from northstar.domain.events import Event, EventId
from northstar.policy.webhooks.body import body_of
from northstar.policy.webhooks.kinds import reaches, wants
from northstar.store.history.rows import read_offset
from northstar.store.history.webhook_making import Move, NewDelivery, events_after, make_deliveries
from northstar.store.history.webhook_rows import WebhookState, read_states

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection

    from northstar.domain.webhooks import StoredWebhook
    from northstar.policy.webhooks.body import JobFacts
    from northstar.store.cell import Cell
    from northstar.store.history import HistoryDatabase

#: Events of one step, and steps of one turn.
PAGE: Final = 500
_STEPS: Final = 16


class DeliveryMaker:
    """Makes the deliveries of one cell. `now_ms` is this host's time."""

    def __init__(self, cell: Cell, database: HistoryDatabase, *, now_ms: Callable[[], int]) -> None:
        self._cell = cell
        self._database = database
        self._now_ms = now_ms

    async def turn(self, webhooks: Mapping[str, StoredWebhook]) -> bool:
        """Go on with these webhooks, all of them switched on; whether there is more to do at once. Raises Unavailable."""
        offset, states = await self._database.read(self._standing)
        groups: dict[EventId, list[str]] = {}
        for name, webhook in sorted(webhooks.items()):
            at = _position(webhook, states.get(name))
            if at < offset:
                groups.setdefault(at, []).append(name)
        # Most of them are at the same event, so each page of events is read once for all of those.
        moved = False
        for at, names in sorted(groups.items())[:_STEPS]:
            moved = await self._step(at, {name: webhooks[name] for name in names}, states, offset=offset) or moved
        return moved and (len(groups) > _STEPS or _is_far(groups, offset))

    async def _step(
        self,
        at: EventId,
        webhooks: Mapping[str, StoredWebhook],
        states: Mapping[str, WebhookState],
        *,
        offset: EventId,
    ) -> bool:
        """Whether any of them has gone on."""
        page = await self._database.read(partial(events_after, cell=self._cell.name, after=at, count=PAGE))
        wanted = [event for event in page if any(wants(one.events, event.kind) for one in webhooks.values())]
        of_jobs = [event for event in wanted if event.kind.startswith("job.")]
        facts = dict(
            zip((event.id for event in of_jobs), await facts_of(self._cell, self._database, of_jobs), strict=True)
        )
        bodies = {event.id: body_of(event, cell=self._cell.name, job=facts.get(event.id)).decode() for event in wanted}
        moves = [
            Move(
                webhook=name,
                seen_at=None if name not in states else states[name].at,
                to=page[-1].id if page else offset,
                made=[
                    NewDelivery(event=event.id, kind=event.kind, subject=event.subject, body=bodies[event.id])
                    for event in wanted
                    if _is_for(webhook, event, facts.get(event.id))
                ],
            )
            for name, webhook in webhooks.items()
        ]
        write = partial(make_deliveries, cell=self._cell.name, moves=moves, now_ms=self._now_ms())
        return await self._database.write(write) > 0

    def _standing(self, connection: Connection) -> tuple[EventId, dict[str, WebhookState]]:
        return read_offset(connection, self._cell.name), read_states(connection, self._cell.name)


def _position(webhook: StoredWebhook, state: WebhookState | None) -> EventId:
    """After which event it goes on: what happened before it was made, or switched on again, is not its business."""
    since = EventId.parse(webhook.since)
    return since if state is None else max(since, state.at)


def _is_for(webhook: StoredWebhook, event: Event, job: JobFacts | None) -> bool:
    tenant = None if job is None else job.tenant
    return wants(webhook.events, event.kind) and reaches(webhook.tenant, tenant, is_of_job=job is not None)


def _is_far(groups: Mapping[EventId, list[str]], offset: EventId) -> bool:
    """Whether one step cannot have brought all of them to the end."""
    return any(at.epoch < offset.epoch or offset.sequence - at.sequence > PAGE for at in groups)
