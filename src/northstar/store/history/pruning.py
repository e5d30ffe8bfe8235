"""Forgetting what is old, a bounded piece at a time, so that the writer never waits long."""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import Connection, delete, select, tuple_

from northstar.store.history.errors import HistoryQueryInvalid
from northstar.store.history.tables import attempts, events, gaps, jobs, machines, presences

if TYPE_CHECKING:
    from northstar.store.history.database import HistoryDatabase

MAX_BUDGET = 10_000
#: Bound variables of one statement: SQLite before 3.32 takes 999 of them.
_ROWS_PER_DELETE = 300


class Pruned(msgspec.Struct, frozen=True):
    """Rows that went. `more`: the budget ran out before the old ones did; call again."""

    events: int
    jobs: int
    gaps: int
    more: bool
    attempts: int = 0
    #: Stays of machines, and machines that were heard of last then.
    machines: int = 0


async def prune(database: HistoryDatabase, *, cell: str, older_than_ms: int, budget: int = 1_000) -> Pruned:
    """Forget what happened in a cell before `older_than_ms` (the cell's clock), at most `budget` rows of each table.

    Offsets stay. SQLite keeps the freed room in its file and fills it again.

    Raises:
        HistoryQueryInvalid: `budget` is not 1 to 10,000.
        Unavailable: The database does not answer; nothing was changed.
    """
    if not 1 <= budget <= MAX_BUDGET:
        raise HistoryQueryInvalid(field="budget", reason=f"{budget} is not 1 to {MAX_BUDGET}")
    return await database.write(partial(_prune, cell=cell, older_than_ms=older_than_ms, budget=budget))


def _prune(connection: Connection, *, cell: str, older_than_ms: int, budget: int) -> Pruned:
    gone = [
        forget(connection, cell, older_than_ms=older_than_ms, budget=budget)
        for forget in (_prune_events, _prune_jobs, _prune_gaps, _prune_attempts, _prune_presences, _prune_machines)
    ]
    gone_events, gone_jobs, gone_gaps, gone_attempts, gone_stays, gone_machines = gone
    return Pruned(
        gone_events, gone_jobs, gone_gaps, budget in gone, attempts=gone_attempts, machines=gone_stays + gone_machines
    )


def _prune_events(connection: Connection, cell: str, *, older_than_ms: int, budget: int) -> int:
    # A cell's time never runs backwards, so the oldest rows by number are the oldest by time, and need no index for it.
    # (After a promotion it may, for a moment; then a row goes a little later.)
    first = (
        select(events.c.epoch, events.c.sequence, events.c.at_ms)
        .where(events.c.cell == cell)
        .order_by(events.c.epoch, events.c.sequence)
        .limit(budget)
    )
    old = list(itertools.takewhile(lambda row: row.at_ms < older_than_ms, connection.execute(first)))
    if not old:
        return 0
    upto = tuple_(events.c.epoch, events.c.sequence) <= (old[-1].epoch, old[-1].sequence)
    return connection.execute(delete(events).where(events.c.cell == cell, upto)).rowcount


def _prune_jobs(connection: Connection, cell: str, *, older_than_ms: int, budget: int) -> int:
    old = (
        select(jobs.c.job_id)
        .where(jobs.c.cell == cell, jobs.c.finished_ms < older_than_ms)
        .order_by(jobs.c.finished_ms)
        .limit(budget)
    )
    ids = list(connection.execute(old).scalars())
    for first in range(0, len(ids), _ROWS_PER_DELETE):
        some = ids[first : first + _ROWS_PER_DELETE]
        connection.execute(delete(jobs).where(jobs.c.cell == cell, jobs.c.job_id.in_(some)))
    return len(ids)


def _prune_gaps(connection: Connection, cell: str, *, older_than_ms: int, budget: int) -> int:
    old = (
        select(gaps.c.next_epoch, gaps.c.next_sequence)
        .where(gaps.c.cell == cell, gaps.c.at_ms < older_than_ms)
        .order_by(gaps.c.next_epoch, gaps.c.next_sequence)
        .limit(budget)
    )
    keys = [tuple(row) for row in connection.execute(old)]
    for first in range(0, len(keys), _ROWS_PER_DELETE):
        some = keys[first : first + _ROWS_PER_DELETE]
        these = tuple_(gaps.c.next_epoch, gaps.c.next_sequence).in_(some)
        connection.execute(delete(gaps).where(gaps.c.cell == cell, these))
    return len(keys)


def _prune_attempts(connection: Connection, cell: str, *, older_than_ms: int, budget: int) -> int:
    old = (
        select(attempts.c.job_id, attempts.c.claim)
        .where(attempts.c.cell == cell, attempts.c.ended_ms < older_than_ms)
        .order_by(attempts.c.ended_ms)
        .limit(budget)
    )
    keys = [tuple(row) for row in connection.execute(old)]
    for first in range(0, len(keys), _ROWS_PER_DELETE):
        these = tuple_(attempts.c.job_id, attempts.c.claim).in_(keys[first : first + _ROWS_PER_DELETE])
        connection.execute(delete(attempts).where(attempts.c.cell == cell, these))
    return len(keys)


def _prune_presences(connection: Connection, cell: str, *, older_than_ms: int, budget: int) -> int:
    """Stays that are over; one that still lasts is kept however old it is."""
    old = (
        select(presences.c.machine, presences.c.since_ms)
        .where(presences.c.cell == cell, presences.c.until_ms < older_than_ms)
        .order_by(presences.c.until_ms)
        .limit(budget)
    )
    keys = [tuple(row) for row in connection.execute(old)]
    for first in range(0, len(keys), _ROWS_PER_DELETE):
        these = tuple_(presences.c.machine, presences.c.since_ms).in_(keys[first : first + _ROWS_PER_DELETE])
        connection.execute(delete(presences).where(presences.c.cell == cell, these))
    return len(keys)


def _prune_machines(connection: Connection, cell: str, *, older_than_ms: int, budget: int) -> int:
    """Machines of which nothing else is left."""
    stays = select(presences.c.machine).where(presences.c.cell == cell, presences.c.machine == machines.c.machine)
    old = (
        select(machines.c.machine)
        .where(machines.c.cell == cell, machines.c.last_seen_ms < older_than_ms, ~stays.exists())
        .order_by(machines.c.last_seen_ms)
        .limit(budget)
    )
    names = list(connection.execute(old).scalars())
    for first in range(0, len(names), _ROWS_PER_DELETE):
        some = names[first : first + _ROWS_PER_DELETE]
        connection.execute(delete(machines).where(machines.c.cell == cell, machines.c.machine.in_(some)))
    return len(names)
