"""Keeping the deliveries of webhooks within bounds, a piece at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, delete, select, update

from northstar.store.history.tables import webhook_deliveries as deliveries
from northstar.store.history.tables import webhook_states as states
from northstar.store.history.webhook_rows import DONE, FAILED, PER_STATEMENT, UNDONE, locked

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Rows of one piece.
PIECE: Final = PER_STATEMENT


def give_up(connection: Connection, cell: str, webhook: str, *, error: str, message: str) -> int:
    """Count what waits for a webhook as failed, since nothing is sent to it any more; gives how many, at most a piece."""
    locked(connection, cell, [webhook])
    undone = (
        select(deliveries.c.id)
        .where(deliveries.c.cell == cell, deliveries.c.webhook == webhook, deliveries.c.state.in_(UNDONE))
        .limit(PIECE)
    )
    ids = list(connection.execute(undone).scalars())
    if ids:
        connection.execute(
            update(deliveries)
            .where(deliveries.c.cell == cell, deliveries.c.id.in_(ids))
            .values(state=FAILED, holder="", due_ms=0, error=error, message=message)
        )
    return len(ids)


def forget(connection: Connection, cell: str, webhook: str) -> int:
    """Remove a webhook's deliveries, and with the last of them its state; gives how many, at most a piece."""
    locked(connection, cell, [webhook])
    ids = list(
        connection.execute(
            select(deliveries.c.id).where(deliveries.c.cell == cell, deliveries.c.webhook == webhook).limit(PIECE)
        ).scalars()
    )
    _delete(connection, cell, ids)
    if len(ids) < PIECE:
        connection.execute(delete(states).where(states.c.cell == cell, states.c.webhook == webhook))
    return len(ids)


def prune_deliveries(connection: Connection, cell: str, webhook: str, *, older_than_ms: int, keep: int) -> int:
    """Remove what is through or given up and too old, or beyond the latest `keep`; gives how many, at most two pieces."""
    done = select(deliveries.c.id).where(
        deliveries.c.cell == cell, deliveries.c.webhook == webhook, deliveries.c.state.in_(DONE)
    )
    old = done.where(deliveries.c.made_ms < older_than_ms).limit(PIECE)
    beyond = done.order_by(deliveries.c.made_ms.desc(), deliveries.c.id.desc()).offset(keep).limit(PIECE)
    removed = 0
    for query in (old, beyond):
        ids = list(connection.execute(query).scalars())
        _delete(connection, cell, ids)
        removed += len(ids)
    return removed


def _delete(connection: Connection, cell: str, ids: Sequence[str]) -> None:
    if ids:
        connection.execute(delete(deliveries).where(deliveries.c.cell == cell, deliveries.c.id.in_(ids)))
