"""The log of deliveries: pages, and sending again. Every method raises Unavailable when the database does not answer."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Row, func, insert, select, tuple_, update

from northstar.domain.events import EventId
from northstar.domain.webhooks import (
    Delivery,
    DeliveryPage,
    NoSuchDelivery,
    Redelivered,
    WebhookFull,
    WebhookHealth,
)
from northstar.store.history.errors import HistoryQueryInvalid
from northstar.store.history.tables import webhook_deliveries as deliveries
from northstar.store.history.tables import webhook_states as states
from northstar.store.history.webhook_making import MAX_WAITING, NewDelivery, is_full, new_row
from northstar.store.history.webhook_rows import BEHIND, DONE, FAILED, READY, UNDONE, begin, locked, promote

if TYPE_CHECKING:
    from northstar.store.history.database import HistoryDatabase

MAX_PAGE: Final = 500
#: Deliveries that one call sends again at most.
MAX_REDELIVERED: Final = 1_000


class DeliveryLog:
    """Deliveries of one cell's webhooks."""

    def __init__(self, database: HistoryDatabase, *, cell: str) -> None:
        self._database = database
        self._cell = cell

    async def page(self, webhook: str, *, status: str = "", cursor: str = "", count: int = 50) -> DeliveryPage:
        """Deliveries, the latest first. Raises HistoryQueryInvalid: the cursor is none of ours, or `count` not 1 to 500."""
        if not 1 <= count <= MAX_PAGE:
            raise HistoryQueryInvalid(field="count", reason=f"{count} is not 1 to {MAX_PAGE}")
        after = _read_cursor(cursor) if cursor else None
        return await self._database.read(partial(self._page, webhook=webhook, status=status, after=after, count=count))

    def _page(
        self, connection: Connection, *, webhook: str, status: str, after: tuple[int, str] | None, count: int
    ) -> DeliveryPage:
        query = select(deliveries).where(deliveries.c.cell == self._cell, deliveries.c.webhook == webhook)
        if status:
            query = query.where(deliveries.c.state.in_(UNDONE if status == "waiting" else (status,)))
        if after is not None:
            query = query.where(tuple_(deliveries.c.made_ms, deliveries.c.id) < after)
        rows = connection.execute(
            query.order_by(deliveries.c.made_ms.desc(), deliveries.c.id.desc()).limit(count)
        ).all()
        cursor = f"{rows[-1].made_ms}.{rows[-1].id}" if len(rows) == count else ""
        return DeliveryPage(deliveries=tuple(map(_delivery, rows)), cursor=cursor)

    async def get(self, webhook: str, delivery: str) -> Delivery:
        """One delivery. Raises NoSuchDelivery."""
        return await self._database.read(partial(self._get, webhook=webhook, delivery=delivery))

    def _get(self, connection: Connection, *, webhook: str, delivery: str) -> Delivery:
        row = connection.execute(self._one(webhook, delivery)).first()
        if row is None:
            raise NoSuchDelivery(delivery)
        return _delivery(row)

    async def health(self, webhook: str) -> WebhookHealth:
        """How the receiver behaves, and how many deliveries are in the log."""
        return await self._database.read(partial(self._health, webhook=webhook))

    def _health(self, connection: Connection, *, webhook: str) -> WebhookHealth:
        counted = (
            select(deliveries.c.state, func.count())
            .where(deliveries.c.cell == self._cell, deliveries.c.webhook == webhook)
            .group_by(deliveries.c.state)
        )
        counts = {row.state: row[1] for row in connection.execute(counted)}
        row = connection.execute(select(states).where(states.c.cell == self._cell, states.c.webhook == webhook)).first()
        return WebhookHealth(
            failing_since_ms=0 if row is None else row.failing_since_ms,
            delivered_ms=0 if row is None else row.delivered_ms,
            waiting=sum(counts.get(state, 0) for state in UNDONE),
            delivered=counts.get("delivered", 0),
            failed=counts.get(FAILED, 0),
        )

    async def failing(self) -> dict[str, int]:
        """Webhooks to which no delivery has got through lately, although some were tried, each with since when. Raises Unavailable."""
        return await self._database.read(self._failing)

    def _failing(self, connection: Connection) -> dict[str, int]:
        found = select(states.c.webhook, states.c.failing_since_ms).where(
            states.c.cell == self._cell, states.c.failing_since_ms > 0
        )
        return {row.webhook: row.failing_since_ms for row in connection.execute(found)}

    async def forgive(self, webhook: str) -> None:
        """A receiver that failed begins anew."""
        await self._database.write(partial(self._forgive, webhook=webhook))

    def _forgive(self, connection: Connection, *, webhook: str) -> None:
        this = update(states).where(states.c.cell == self._cell, states.c.webhook == webhook)
        connection.execute(this.values(failing_since_ms=0))

    async def add(self, webhook: str, one: NewDelivery, *, name: str, since: EventId, now_ms: int) -> Delivery:
        """Send something that is no event of the cell. Raises WebhookFull."""
        return await self._database.write(
            partial(self._add, webhook=webhook, one=one, name=name, since=since, now_ms=now_ms)
        )

    def _add(
        self, connection: Connection, *, webhook: str, one: NewDelivery, name: str, since: EventId, now_ms: int
    ) -> Delivery:
        begin(connection, self._cell, webhook, at=since)
        locked(connection, self._cell, [webhook])
        if is_full(connection, self._cell, webhook):
            raise WebhookFull(webhook, limit=MAX_WAITING)
        connection.execute(insert(deliveries), [new_row(self._cell, webhook, one, name=name, now_ms=now_ms)])
        promote(connection, self._cell, webhook, [one.subject])
        return self._get(connection, webhook=webhook, delivery=name)

    async def redeliver(self, webhook: str, delivery: str, *, now_ms: int) -> Delivery:
        """Send one again, under its id; one that waits is tried at once, unless one is before it. Raises NoSuchDelivery, WebhookFull."""
        return await self._database.write(partial(self._redeliver, webhook=webhook, delivery=delivery, now_ms=now_ms))

    def _redeliver(self, connection: Connection, *, webhook: str, delivery: str, now_ms: int) -> Delivery:
        locked(connection, self._cell, [webhook])
        row = connection.execute(self._one(webhook, delivery)).first()
        if row is None:
            raise NoSuchDelivery(delivery)
        this = update(deliveries).where(deliveries.c.cell == self._cell, deliveries.c.id == delivery)
        if row.state in DONE:
            if is_full(connection, self._cell, webhook):
                raise WebhookFull(webhook, limit=MAX_WAITING)
            connection.execute(this.values(state=BEHIND, due_ms=now_ms, attempts=0))
            promote(connection, self._cell, webhook, [row.subject])
        else:
            connection.execute(this.where(deliveries.c.state == READY, deliveries.c.holder == "").values(due_ms=now_ms))
        return self._get(connection, webhook=webhook, delivery=delivery)

    async def redeliver_failed(self, webhook: str, *, since_ms: int, now_ms: int) -> Redelivered:
        """Send what was given up again, the oldest first, at most 1,000. Raises WebhookFull."""
        return await self._database.write(
            partial(self._redeliver_failed, webhook=webhook, since_ms=since_ms, now_ms=now_ms)
        )

    def _redeliver_failed(self, connection: Connection, *, webhook: str, since_ms: int, now_ms: int) -> Redelivered:
        locked(connection, self._cell, [webhook])
        if is_full(connection, self._cell, webhook):
            raise WebhookFull(webhook, limit=MAX_WAITING)
        query = (
            select(deliveries.c.id, deliveries.c.subject)
            .where(
                deliveries.c.cell == self._cell,
                deliveries.c.webhook == webhook,
                deliveries.c.state == FAILED,
                deliveries.c.made_ms >= since_ms,
            )
            .order_by(deliveries.c.made_ms, deliveries.c.id)
            .limit(MAX_REDELIVERED + 1)
        )
        found = connection.execute(query).all()
        again = found[:MAX_REDELIVERED]
        for row in again:
            connection.execute(
                update(deliveries)
                .where(deliveries.c.cell == self._cell, deliveries.c.id == row.id)
                .values(state=BEHIND, due_ms=now_ms, attempts=0)
            )
        promote(connection, self._cell, webhook, sorted({row.subject for row in again}))
        return Redelivered(deliveries=len(again), more=len(found) > len(again))

    def _one(self, webhook: str, delivery: str) -> Any:
        return select(deliveries).where(
            deliveries.c.cell == self._cell, deliveries.c.id == delivery, deliveries.c.webhook == webhook
        )


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(
        id=row.id,
        event=row.kind,
        subject=row.subject,
        status="waiting" if row.state in UNDONE else row.state,
        attempts=row.attempts,
        made_ms=row.made_ms,
        due_ms=row.due_ms if row.state == READY else 0,
        tried_ms=row.tried_ms,
        error=row.error,
        message=row.message,
        answer_status=row.answer_status,
        answer=row.answer,
        took_ms=row.took_ms,
    )


def _read_cursor(text: str) -> tuple[int, str]:
    made_ms, dot, name = text.partition(".")
    if not dot or not name or not (made_ms.isascii() and made_ms.isdecimal()) or len(made_ms) > 18 or "\0" in name:
        raise HistoryQueryInvalid(field="cursor", reason=f"{text[:80]!r} is no cursor that a page has given")
    return int(made_ms), name
