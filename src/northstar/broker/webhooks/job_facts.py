"""What webhooks tell of jobs: from the history, and of those that are still at work from the cell."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from northstar.domain.expiry_text import expiry_sentence
from northstar.domain.job_resources import JobFault
from northstar.policy.webhooks.body import JobFacts
from northstar.store.history.finished_jobs import place_of
from northstar.store.history.webhook_jobs import job_pasts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.domain.events import Event
    from northstar.store.cell import Cell
    from northstar.store.history import HistoryDatabase
    from northstar.store.history.webhook_jobs import EndedJob, JobPasts
    from northstar.store.messages import InspectedJob, JobRecord

#: Jobs of one look into the cell, without their bodies.
_PER_LOOK: Final = 500


async def facts_of(cell: Cell, database: HistoryDatabase, events: Sequence[Event]) -> list[JobFacts]:
    """Of each event of a job what the job was then. Raises Unavailable."""
    ids = sorted({event.subject for event in events})
    if not ids:
        return []
    pasts = await database.read(partial(job_pasts, cell=cell.name, job_ids=ids))
    present: dict[str, InspectedJob] = {}
    for first in range(0, len(ids), _PER_LOOK):
        reply = await cell.inspect(ids[first : first + _PER_LOOK])
        present |= {job.id: job for job in reply.jobs}
    return [_facts(event, pasts, present.get(event.subject)) for event in events]


def _facts(event: Event, pasts: JobPasts, present: InspectedJob | None) -> JobFacts:
    tenant = _tenant(event, pasts, present)
    submission = pasts.submission(event.subject, at=event.id)
    ended = pasts.ended.get(event.subject)
    # What another tenant's job of the same id was is nobody's business.
    if ended is not None and ended.tenant != tenant:
        ended = None
    if present is not None and present.record.tenant != tenant:
        present = None
    pool, service = (ended.pool, ended.service) if ended is not None else (None, None)
    if present is not None:
        found = place_of(present)
        pool, service = found[0] or pool, found[1] or service
    record = None if present is None else present.record
    return JobFacts(
        tenant=tenant,
        service=service,
        pool=pool,
        submitted_ms=submission.at_ms if submission else record.submitted_ms if record else 0,
        started_ms=_started_ms(event, ended),
        attempts=_number(event, "attempts") or (ended.attempts if ended and ended.event == event.id else 0),
        error=_error(event, ended, record),
    )


def _tenant(event: Event, pasts: JobPasts, present: InspectedJob | None) -> str | None:
    """Whose the job was at this event; None: nobody knows any more."""
    submission = pasts.submission(event.subject, at=event.id)
    if submission is not None:
        return submission.tenant or None
    if pasts.submissions.get(event.subject):
        return None  # the id belongs to a later job by now, perhaps of somebody else
    # It came from another cell, or its beginning is pruned.
    if present is not None:
        return present.record.tenant
    ended = pasts.ended.get(event.subject)
    return None if ended is None else ended.tenant


def _started_ms(event: Event, ended: EndedJob | None) -> int:
    if event.kind == "job.started":
        return event.at_ms
    if ended is not None and ended.event == event.id:
        return ended.started_ms
    return _number(event, "started_ms")


def _error(event: Event, ended: EndedJob | None, record: JobRecord | None) -> JobFault | None:
    if ended is not None and ended.event == event.id and ended.error_code:
        message = ended.error_message
        if record is not None:
            message = expiry_sentence(
                ended.error_code,
                message,
                submitted_ms=record.submitted_ms,
                start_by_ms=record.start_by_ms,
                finish_by_ms=record.finish_by_ms,
            )
        return JobFault(code=ended.error_code, message=message)
    code = event.data.get("code")
    return JobFault(code=str(code), message="") if code else None


def _number(event: Event, name: str) -> int:
    found = event.data.get(name)
    return int(found) if isinstance(found, int | float) else 0
