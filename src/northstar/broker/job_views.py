"""Jobs as people and programs see them, from the records that the queue keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from northstar.domain.expiry_text import expiry_sentence
from northstar.domain.jobs import JobBody, JobStatus, JobView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.store.cell import Cell
    from northstar.store.messages import InspectedJob

#: Jobs of one look; as the function library bounds it.
CHUNK = 500


def view_of(job: InspectedJob) -> JobView:
    """A job with its body and result where the record came with them."""
    record = job.record
    return JobView(
        id=job.id,
        status=JobStatus(record.status),
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
        body=msgspec.json.decode(job.body, type=JobBody) if job.body else None,
        result=msgspec.json.decode(job.result) if job.result else None,
    )


async def look_at(cell: Cell, job_ids: Sequence[str], *, bodies: bool = False, results: bool = False) -> list[JobView]:
    """The jobs that the cell knows, in the order asked; any number, 500 a call."""
    views: list[JobView] = []
    for first in range(0, len(job_ids), CHUNK):
        reply = await cell.inspect(job_ids[first : first + CHUNK], bodies=bodies, results=results)
        views.extend(view_of(job) for job in reply.jobs)
    return views
