"""Rows of webhooks that every other part of them works with: the state of each, and what is sent next of each subject.

Whoever adds deliveries or ends them first takes the state's row (`locked`), so that in PostgreSQL too one of two sees what the other did.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from sqlalchemy import Connection, and_, or_, select, tuple_, update

from northstar.domain.events import EventId
from northstar.store.history.tables import webhook_deliveries as deliveries
from northstar.store.history.tables import webhook_states as states
from northstar.store.history.upserting import insert_if_absent

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

BEHIND: Final = "behind"
READY: Final = "ready"
DELIVERED: Final = "delivered"
FAILED: Final = "failed"
UNDONE: Final = (READY, BEHIND)
DONE: Final = (DELIVERED, FAILED)
#: Bound variables of one statement: SQLite before 3.32 takes 999 of them.
PER_STATEMENT: Final = 300


class WebhookState(msgspec.Struct, frozen=True, kw_only=True):
    """How far one webhook is, and how its receiver behaves."""

    at: EventId
    failing_since_ms: int
    delivered_ms: int


def read_states(connection: Connection, cell: str) -> dict[str, WebhookState]:
    """All of a cell by webhook, also of those that were removed since."""
    rows = connection.execute(select(states).where(states.c.cell == cell))
    return {
        row.webhook: WebhookState(
            at=EventId(row.epoch, row.sequence),
            failing_since_ms=row.failing_since_ms,
            delivered_ms=row.delivered_ms,
        )
        for row in rows
    }


def begin(connection: Connection, cell: str, webhook: str, *, at: EventId) -> None:
    """Make sure that a webhook has a state; one that is there stays."""
    row = {"cell": cell, "webhook": webhook, "epoch": at.epoch, "sequence": at.sequence}
    connection.execute(insert_if_absent(connection, states), row | {"failing_since_ms": 0, "delivered_ms": 0})


def locked(connection: Connection, cell: str, webhooks: Iterable[str]) -> dict[str, EventId]:
    """Up to where these webhooks are; nobody else changes that, or their deliveries' states, until the transaction ends."""
    wanted = sorted(set(webhooks))
    found: dict[str, EventId] = {}
    for first in range(0, len(wanted), PER_STATEMENT):
        query = (
            select(states.c.webhook, states.c.epoch, states.c.sequence)
            .where(states.c.cell == cell, states.c.webhook.in_(wanted[first : first + PER_STATEMENT]))
            .order_by(states.c.webhook)  # in one order, so that two never wait for each other
            .with_for_update()
        )
        found |= {row.webhook: EventId(row.epoch, row.sequence) for row in connection.execute(query)}
    return found


def promote(connection: Connection, cell: str, webhook: str, subjects: Sequence[str]) -> None:
    """Of each subject of which nothing is ready, make the first that waits ready. The state is `locked`."""
    before = deliveries.alias("before")
    earlier = tuple_(before.c.epoch, before.c.sequence) < tuple_(deliveries.c.epoch, deliveries.c.sequence)
    in_its_way = select(before.c.id).where(
        before.c.cell == deliveries.c.cell,
        before.c.webhook == deliveries.c.webhook,
        before.c.subject == deliveries.c.subject,
        or_(before.c.state == READY, and_(before.c.state == BEHIND, earlier)),
    )
    for first in range(0, len(subjects), PER_STATEMENT):
        connection.execute(
            update(deliveries)
            .where(
                deliveries.c.cell == cell,
                deliveries.c.webhook == webhook,
                deliveries.c.state == BEHIND,
                deliveries.c.subject.in_(subjects[first : first + PER_STATEMENT]),
                ~in_its_way.exists(),
            )
            .values(state=READY)
        )
