"""From events to deliveries: each event of a cell once for each webhook that wants it, whichever process does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import Connection, and_, func, insert, or_, select, update

from northstar.domain.events import Event, EventId
from northstar.store.history.finished_jobs import storable
from northstar.store.history.reader import event_of
from northstar.store.history.tables import events
from northstar.store.history.tables import webhook_deliveries as deliveries
from northstar.store.history.tables import webhook_states as states
from northstar.store.history.webhook_rows import BEHIND, UNDONE, begin, locked, promote

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Deliveries of one webhook that may wait. At the bound its events stay in the history until some are through.
MAX_WAITING: Final = 10_000


class NewDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """An event as one webhook will be told of it."""

    event: EventId
    kind: str
    subject: str
    body: str


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """One webhook goes on from where it was seen to be (None: it had no state yet) to another event."""

    webhook: str
    seen_at: EventId | None
    to: EventId
    made: Sequence[NewDelivery]


def delivery_id(webhook: str, event: EventId) -> str:
    """The name of a delivery, the same whoever makes it; no full stop in it, since it is signed with full stops between."""
    return f"msg_{webhook}_{event.epoch}_{event.sequence}"


def events_after(connection: Connection, cell: str, after: EventId, *, count: int) -> list[Event]:
    """The next events of a cell."""
    later = or_(events.c.epoch > after.epoch, and_(events.c.epoch == after.epoch, events.c.sequence > after.sequence))
    query = select(events).where(events.c.cell == cell, later).order_by(events.c.epoch, events.c.sequence).limit(count)
    return [event_of(row) for row in connection.execute(query)]


def make_deliveries(connection: Connection, *, cell: str, moves: Sequence[Move], now_ms: int) -> int:
    """Add the deliveries and move on, in one transaction; gives how many webhooks have gone on.

    A webhook that somebody else has moved meanwhile is left as it is, and so is one of which as many wait as may.
    """
    for move in moves:
        if move.seen_at is None:
            begin(connection, cell, move.webhook, at=EventId(0, 0))
    at = locked(connection, cell, (move.webhook for move in moves))
    gone_on = 0
    for move in moves:
        if at.get(move.webhook) != (move.seen_at or EventId(0, 0)):
            continue
        if move.made and is_full(connection, cell, move.webhook):
            continue
        _go_on(connection, cell, move)
        _add(connection, cell, move, now_ms=now_ms)
        gone_on += 1
    return gone_on


def is_full(connection: Connection, cell: str, webhook: str) -> bool:
    """Whether as many deliveries of the webhook wait as may."""
    undone = (
        select(deliveries.c.id)
        .where(deliveries.c.cell == cell, deliveries.c.webhook == webhook, deliveries.c.state.in_(UNDONE))
        .limit(MAX_WAITING)
        .subquery()
    )
    return bool(connection.execute(select(func.count()).select_from(undone)).scalar_one() >= MAX_WAITING)


def new_row(cell: str, webhook: str, one: NewDelivery, *, name: str, now_ms: int) -> dict[str, Any]:
    """The row of a delivery that has not been tried."""
    return {
        "cell": cell,
        "id": name,
        "webhook": webhook,
        "kind": storable(one.kind),
        "subject": storable(one.subject),
        "epoch": one.event.epoch,
        "sequence": one.event.sequence,
        "state": BEHIND,
        "body": storable(one.body),
        "made_ms": now_ms,
        "due_ms": now_ms,
        "holder": "",
        "attempts": 0,
        "tried_ms": 0,
        "error": "",
        "message": "",
        "answer_status": 0,
        "answer": "",
        "took_ms": 0,
    }


def _go_on(connection: Connection, cell: str, move: Move) -> None:
    connection.execute(
        update(states)
        .where(states.c.cell == cell, states.c.webhook == move.webhook)
        .values(epoch=move.to.epoch, sequence=move.to.sequence)
    )


def _add(connection: Connection, cell: str, move: Move, *, now_ms: int) -> None:
    if not move.made:
        return
    rows = [
        new_row(cell, move.webhook, one, name=delivery_id(move.webhook, one.event), now_ms=now_ms) for one in move.made
    ]
    connection.execute(insert(deliveries), rows)
    promote(connection, cell, move.webhook, sorted({str(row["subject"]) for row in rows}))
