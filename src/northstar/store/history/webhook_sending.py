"""Taking deliveries to send and saying what became of them: any number of processes, each delivery held by one at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec
from sqlalchemy import Connection, func, select, update

from northstar.store.history.finished_jobs import storable
from northstar.store.history.tables import webhook_deliveries as deliveries
from northstar.store.history.tables import webhook_states as states
from northstar.store.history.webhook_rows import DELIVERED, FAILED, READY, locked, promote

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that this process sends now."""

    id: str
    webhook: str
    subject: str
    body: str
    #: Attempts that failed before.
    attempts: int
    holder: str


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an attempt. `due_ms` is of one that is tried again."""

    claimed: Claimed
    outcome: Literal["delivered", "again", "failed"]
    due_ms: int = 0
    tried_ms: int = 0
    error: str = ""
    message: str = ""
    answer_status: int = 0
    answer: str = ""
    took_ms: int = 0


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """How many may be taken: in all, and at most so many of one receiver at the same time, whoever sends them."""

    in_all: int
    per_receiver: int


def exchange(
    connection: Connection,
    *,
    cell: str,
    settled: Sequence[Settled],
    room: Room,
    webhooks: Collection[str],
    holder: str,
    now_ms: int,
    lease_ms: int,
) -> list[Claimed]:
    """Note what became of attempts, then take what is due of these webhooks, in one transaction.

    What is held is due again after `lease_ms`, unless it is settled before: whoever died with it is followed by another.
    """
    settle(connection, cell, settled, now_ms=now_ms)
    if room.in_all <= 0 or not webhooks:
        return []
    return _claim(connection, cell, room, webhooks, holder=holder, now_ms=now_ms, until_ms=now_ms + lease_ms)


def settle(connection: Connection, cell: str, settled: Sequence[Settled], *, now_ms: int) -> None:
    """Note what became of attempts; of one that is held by somebody else by now, nothing."""
    if not settled:
        return
    locked(connection, cell, (one.claimed.webhook for one in settled))
    for one in settled:
        if not _note(connection, cell, one):
            continue
        _note_health(connection, cell, one, now_ms=now_ms)
        if one.outcome != "again":
            promote(connection, cell, one.claimed.webhook, [one.claimed.subject])


def release(connection: Connection, cell: str, held: Sequence[Claimed], *, now_ms: int) -> None:
    """Give back what was taken and not sent, or not to the end: another process sends it at once."""
    for one in held:
        connection.execute(
            update(deliveries)
            .where(deliveries.c.cell == cell, deliveries.c.id == one.id, deliveries.c.holder == one.holder)
            .values(holder="", due_ms=now_ms)
        )


def _note(connection: Connection, cell: str, one: Settled) -> bool:
    state = {"delivered": DELIVERED, "again": READY, "failed": FAILED}[one.outcome]
    answer = connection.execute(
        update(deliveries)
        .where(
            deliveries.c.cell == cell,
            deliveries.c.id == one.claimed.id,
            deliveries.c.state == READY,
            deliveries.c.holder == one.claimed.holder,
        )
        .values(
            state=state,
            holder="",
            due_ms=one.due_ms,
            attempts=one.claimed.attempts + 1,
            tried_ms=one.tried_ms,
            error=one.error,
            message=storable(one.message),
            answer_status=one.answer_status,
            answer=storable(one.answer),
            took_ms=one.took_ms,
        )
    )
    return answer.rowcount == 1


def _note_health(connection: Connection, cell: str, one: Settled, *, now_ms: int) -> None:
    this = update(states).where(states.c.cell == cell, states.c.webhook == one.claimed.webhook)
    if one.outcome == "delivered":
        connection.execute(this.values(failing_since_ms=0, delivered_ms=now_ms))
    else:
        connection.execute(this.where(states.c.failing_since_ms == 0).values(failing_since_ms=now_ms))


def _claim(
    connection: Connection,
    cell: str,
    room: Room,
    webhooks: Collection[str],
    *,
    holder: str,
    now_ms: int,
    until_ms: int,
) -> list[Claimed]:
    due = _counts(connection, cell, deliveries.c.state == READY, deliveries.c.due_ms <= now_ms)
    due = {webhook: count for webhook, count in due.items() if webhook in webhooks}
    if not due:
        return []
    held = _counts(connection, cell, deliveries.c.holder > "", deliveries.c.due_ms > now_ms)
    failing = set(
        connection.execute(
            select(states.c.webhook).where(states.c.cell == cell, states.c.failing_since_ms > 0)
        ).scalars()
    )
    left, claimed = room.in_all, []
    # Those of whom least is under way come first, so that one receiver that is slow takes no other one's turn.
    for webhook in sorted(due, key=lambda one: (held.get(one, 0), one)):
        most = 1 if webhook in failing else room.per_receiver  # one that fails is only felt for
        some = min(left, most - held.get(webhook, 0))
        if some <= 0:
            continue
        for one in _due_of(connection, cell, webhook, count=some, now_ms=now_ms, holder=holder):
            if _take(connection, cell, one, now_ms=now_ms, until_ms=until_ms):
                claimed.append(one)
                left -= 1
    return claimed


def _counts(connection: Connection, cell: str, *conditions: object) -> Mapping[str, int]:
    query = (
        select(deliveries.c.webhook, func.count())
        .where(deliveries.c.cell == cell, *conditions)  # type: ignore[arg-type]
        .group_by(deliveries.c.webhook)
    )
    return {row.webhook: row[1] for row in connection.execute(query)}


def _due_of(connection: Connection, cell: str, webhook: str, *, count: int, now_ms: int, holder: str) -> list[Claimed]:
    query = (
        select(deliveries.c.id, deliveries.c.subject, deliveries.c.body, deliveries.c.attempts)
        .where(
            deliveries.c.cell == cell,
            deliveries.c.state == READY,
            deliveries.c.webhook == webhook,
            deliveries.c.due_ms <= now_ms,
        )
        .order_by(deliveries.c.due_ms, deliveries.c.epoch, deliveries.c.sequence)
        .limit(count)
    )
    found = [
        Claimed(id=row.id, webhook=webhook, subject=row.subject, body=row.body, attempts=row.attempts, holder=holder)
        for row in connection.execute(query)
    ]
    return sorted(found, key=lambda one: one.id)


def _take(connection: Connection, cell: str, one: Claimed, *, now_ms: int, until_ms: int) -> bool:
    """Compare and set: in PostgreSQL a second process waits here for the first, and then finds it due no more."""
    answer = connection.execute(
        update(deliveries)
        .where(
            deliveries.c.cell == cell,
            deliveries.c.id == one.id,
            deliveries.c.state == READY,
            deliveries.c.due_ms <= now_ms,
        )
        .values(holder=one.holder, due_ms=until_ms)
    )
    return answer.rowcount == 1
