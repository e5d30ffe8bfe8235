"""Writing one batch: its rows and the offset in one transaction; and reading where the history stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import Connection, bindparam, delete, insert, inspect, select, tuple_, update

from northstar.domain.events import Event, EventId
from northstar.store.history.attempt_rows import put_attempts
from northstar.store.history.attempts import Attempt
from northstar.store.history.continuity import BEGINNING, Gap
from northstar.store.history.finished_jobs import FinishedJob, storable
from northstar.store.history.machine_memory import Sighting
from northstar.store.history.machine_rows import put_machines, put_presences
from northstar.store.history.tables import events, gaps, jobs, offsets
from northstar.store.history.upserting import insert_if_absent, upsert

if TYPE_CHECKING:
    from collections.abc import Sequence

_JOBS_PER_DELETE = 500
_JOB_KEY = ("cell", "job_id")
_NEW_OF_JOB = tuple(column.name for column in jobs.columns if column.name not in _JOB_KEY)
_ADD_EVENTS = insert(events)
_ADVANCE = (
    update(offsets)
    .where(
        offsets.c.cell == bindparam("of_cell"),
        offsets.c.epoch == bindparam("from_epoch"),
        offsets.c.sequence == bindparam("from_sequence"),
    )
    .values(epoch=bindparam("epoch"), sequence=bindparam("sequence"))
)


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What follows in a cell's history after `offset`. `events` are at least one, new and in order."""

    cell: str
    offset: EventId
    events: Sequence[Event]
    gaps: Sequence[Gap]
    finished: Sequence[FinishedJob]
    #: Jobs with a row that are at work again.
    revived: Sequence[str]
    #: Runs that ended, and the machines that the events speak of.
    attempts: Sequence[Attempt] = ()
    sightings: Sequence[Sighting] = ()


def read_offset(connection: Connection, cell: str) -> EventId:
    """Up to where the history has this cell; `BEGINNING` for a new one."""
    row = connection.execute(select(offsets.c.epoch, offsets.c.sequence).where(offsets.c.cell == cell)).first()
    return BEGINNING if row is None else EventId(row.epoch, row.sequence)


def read_offset_if_any(connection: Connection, cell: str) -> EventId:
    """The same of a database that may have no tables yet."""
    return read_offset(connection, cell) if inspect(connection).has_table(offsets.name) else BEGINNING


def has_event(connection: Connection, cell: str, event: Event) -> bool | None:
    """Whether the history has this event under its id; None when it has nothing there (pruned)."""
    row = connection.execute(
        select(events.c.kind, events.c.subject, events.c.number, events.c.at_ms).where(
            tuple_(events.c.cell, events.c.epoch, events.c.sequence) == (cell, event.id.epoch, event.id.sequence)
        )
    ).first()
    return (
        None
        if row is None
        else tuple(row) == (storable(event.kind), storable(event.subject), event.number, event.at_ms)
    )


def write_batch(connection: Connection, batch: Batch) -> bool:
    """Add the rows and advance the offset. False, with nothing written: another writer has advanced it meanwhile."""
    if not _advance(connection, batch):
        return False
    connection.execute(_ADD_EVENTS, [_event_row(batch.cell, event) for event in batch.events])
    if batch.gaps:
        connection.execute(insert(gaps), [_gap_row(batch.cell, gap) for gap in batch.gaps])
    for first in range(0, len(batch.revived), _JOBS_PER_DELETE):
        some = [storable(job_id) for job_id in batch.revived[first : first + _JOBS_PER_DELETE]]
        connection.execute(delete(jobs).where(jobs.c.cell == batch.cell, jobs.c.job_id.in_(some)))
    if batch.finished:
        _put_jobs(connection, batch)
    put_attempts(connection, batch.cell, batch.attempts)
    if batch.sightings:
        put_machines(connection, batch.cell, batch.sightings)
        put_presences(connection, batch.cell, batch.events, batch.sightings)
    return True


def _advance(connection: Connection, batch: Batch) -> bool:
    """Compare and set. In PostgreSQL a second writer waits here for the first and then finds the offset changed."""
    latest, before = batch.events[-1].id, batch.offset
    values = {"epoch": latest.epoch, "sequence": latest.sequence}
    if before == BEGINNING:
        first = insert_if_absent(connection, offsets)
        return connection.execute(first, {"cell": batch.cell, **values}).rowcount == 1
    known = {"of_cell": batch.cell, "from_epoch": before.epoch, "from_sequence": before.sequence}
    return connection.execute(_ADVANCE, known | values).rowcount == 1


def _put_jobs(connection: Connection, batch: Batch) -> None:
    rows = [{"cell": batch.cell} | msgspec.structs.asdict(job) for job in batch.finished]
    connection.execute(upsert(connection, jobs, key=_JOB_KEY, new=_NEW_OF_JOB), rows)


def _event_row(cell: str, event: Event) -> dict[str, Any]:
    return {
        "cell": cell,
        "epoch": event.id.epoch,
        "sequence": event.id.sequence,
        "kind": storable(event.kind),
        "subject": storable(event.subject),
        "number": event.number,
        "at_ms": event.at_ms,
        "data": event.data,
    }


def _gap_row(cell: str, gap: Gap) -> dict[str, Any]:
    return {
        "cell": cell,
        "next_epoch": gap.next.epoch,
        "next_sequence": gap.next.sequence,
        "last_epoch": gap.last.epoch,
        "last_sequence": gap.last.sequence,
        "reason": gap.reason,
        "missing": gap.missing,
        "disowned": gap.disowned,
        "at_ms": gap.at_ms,
    }
