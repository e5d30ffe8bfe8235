"""Jobs as people and programs see them, from the records that the queue keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from northstar.domain.expiry_text import expiry_sentence
from northstar.domain.jobs import JobBody, JobStatus, JobView
from northstar.domain.refusals import JobUnreadable
from northstar.telemetry import logger

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from northstar.store.cell import Cell
    from northstar.store.messages import InspectedJob

log = logger(__name__)

#: Jobs of one look; as the function library bounds it.
CHUNK = 500


def status_of(job: InspectedJob) -> JobStatus:
    """Where it is. Raises JobUnreadable: a later version has states that this one does not know."""
    try:
        return JobStatus(job.record.status)
    except ValueError:
        raise JobUnreadable({"job": job.id, "what": f"its state {job.record.status[:32]!r}"}) from None


def body_of(job: InspectedJob) -> JobBody:
    """What the job was submitted with. Raises JobUnreadable: this version cannot read it."""
    try:
        return msgspec.json.decode(job.body, type=JobBody)
    except (msgspec.MsgspecError, RecursionError):
        raise JobUnreadable({"job": job.id, "what": "its body"}) from None


def view_of(job: InspectedJob) -> JobView:
    """A job with its body and result where the record came with them. A body that cannot be read is left out, and `unreadable` says so.

    Raises:
        JobUnreadable: this version does not know its state.
    """
    record, status = job.record, status_of(job)
    body, unreadable = None, ""
    if job.body:
        try:
            body = body_of(job)
        except JobUnreadable as exc:
            unreadable = str(exc)
    return JobView(
        id=job.id,
        status=status,
        tenant=record.tenant,
        priority=record.priority,
        attempts=record.attempts,
        max_attempts=record.max_attempts,
        recoveries=record.recoveries,
        submitted_ms=record.submitted_ms,
        started_ms=record.started_ms,
        finished_ms=record.finished_ms,
        due_ms=record.due_ms,
        machine=record.machine,
        lane_key=job.lane_key,
        error_code=record.error_code,
        error_message=expiry_sentence(
            record.error_code,
            record.error_message,
            submitted_ms=record.submitted_ms,
            start_by_ms=record.start_by_ms,
            finish_by_ms=record.finish_by_ms,
        ),
        body=body,
        unreadable=unreadable,
        result=msgspec.json.decode(job.result) if job.result else None,
    )


def readable(jobs: Iterable[InspectedJob]) -> list[JobView]:
    """The jobs whose state this version knows: one of a later version costs nobody else the list. Asked for by itself it says what it is."""
    views: list[JobView] = []
    for job in jobs:
        try:
            views.append(view_of(job))
        except JobUnreadable as exc:
            log.info("job_left_out", job=job.id, code=exc.code, error=str(exc))
    return views


async def look_at(cell: Cell, job_ids: Sequence[str], *, bodies: bool = False, results: bool = False) -> list[JobView]:
    """The jobs that the cell knows and this version can read, in the order asked; any number, 500 a call."""
    views: list[JobView] = []
    for first in range(0, len(job_ids), CHUNK):
        reply = await cell.inspect(job_ids[first : first + CHUNK], bodies=bodies, results=results)
        views.extend(readable(reply.jobs))
    return views
