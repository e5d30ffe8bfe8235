"""Whose a job was at one of its events, and what it was, as the history knows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import Connection, select

from northstar.domain.events import EventId
from northstar.store.history.tables import events, jobs
from northstar.store.history.webhook_rows import PER_STATEMENT

if TYPE_CHECKING:
    from collections.abc import Sequence


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """A job came into the cell. An id may come again once the job that had it is forgotten, and may be another tenant's then."""

    event: EventId
    tenant: str
    at_ms: int


class EndedJob(msgspec.Struct, frozen=True, kw_only=True):
    """A finished job, ended by this event."""

    event: EventId
    tenant: str | None
    service: str | None
    pool: str | None
    submitted_ms: int
    started_ms: int
    attempts: int
    error_code: str
    error_message: str


class JobPasts(msgspec.Struct, frozen=True, kw_only=True):
    """What the history says of some jobs."""

    #: Of each job all that the history still has, the earliest first.
    submissions: dict[str, list[Submission]]
    ended: dict[str, EndedJob]

    def submission(self, job_id: str, *, at: EventId) -> Submission | None:
        """The one to which an event of the job belongs."""
        before = [one for one in self.submissions.get(job_id, ()) if one.event <= at]
        return before[-1] if before else None


def job_pasts(connection: Connection, cell: str, job_ids: Sequence[str]) -> JobPasts:
    """What the history says of these jobs."""
    pasts = JobPasts(submissions={}, ended={})
    for first in range(0, len(job_ids), PER_STATEMENT):
        some = job_ids[first : first + PER_STATEMENT]
        submitted = (
            select(events)
            .where(events.c.cell == cell, events.c.subject.in_(some), events.c.kind == "job.submitted")
            .order_by(events.c.epoch, events.c.sequence)
        )
        for row in connection.execute(submitted):
            one = Submission(
                event=EventId(row.epoch, row.sequence), tenant=str(row.data.get("tenant", "")), at_ms=row.at_ms
            )
            pasts.submissions.setdefault(row.subject, []).append(one)
        for row in connection.execute(select(jobs).where(jobs.c.cell == cell, jobs.c.job_id.in_(some))):
            pasts.ended[row.job_id] = EndedJob(
                event=EventId(row.epoch, row.sequence),
                tenant=row.tenant,
                service=row.service,
                pool=row.pool,
                submitted_ms=row.submitted_ms or 0,
                started_ms=row.started_ms or 0,
                attempts=row.attempts or 0,
                error_code=row.error_code or "",
                error_message=row.error_message or "",
            )
    return pasts
