"""Rows of attempts: what must be known before they are written, and writing them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import Connection, bindparam, func, select

from northstar.store.history.attempts import WAITING_KINDS, Attempt
from northstar.store.history.finished_jobs import storable
from northstar.store.history.tables import attempts, events
from northstar.store.history.upserting import upsert

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Names in one statement.
_PER_QUERY: Final = 300
_KEY: Final = ("cell", "job_id", "claim")
_NEW: Final = tuple(column.name for column in attempts.columns if column.name not in _KEY)
_READY_BEFORE: Final = (
    select(events.c.subject, func.max(events.c.at_ms))
    .where(
        events.c.cell == bindparam("cell"),
        events.c.subject.in_(bindparam("jobs", expanding=True)),
        events.c.kind.in_(WAITING_KINDS),
    )
    .group_by(events.c.subject)
)


def ready_before(connection: Connection, cell: str, job_ids: Sequence[str]) -> dict[str, int]:
    """Since when these jobs wait, or waited before they ran, as far as the events in the history say."""
    found: dict[str, int] = {}
    for first in range(0, len(job_ids), _PER_QUERY):
        some = [storable(job_id) for job_id in job_ids[first : first + _PER_QUERY]]
        found.update((row[0], row[1]) for row in connection.execute(_READY_BEFORE, {"cell": cell, "jobs": some}))
    return found


def put_attempts(connection: Connection, cell: str, rows: Sequence[Attempt]) -> None:
    """Write them; a row of an earlier life of the same job id, or one that the cell disowned, is written over."""
    if not rows:
        return
    # A job that was purged, submitted anew under its id and run to its end may have two rows of one key within a batch.
    latest = {(row.job_id, row.claim): row for row in rows}
    values = [_values(cell, row) for row in latest.values()]
    connection.execute(upsert(connection, attempts, key=_KEY, new=_NEW), values)


def _values(cell: str, row: Attempt) -> dict[str, Any]:
    return {"cell": cell} | msgspec.structs.asdict(row) | {"models": msgspec.to_builtins(row.models)}
