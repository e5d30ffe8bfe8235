"""From a job's last event and its record in the cell to its row in the history; pure."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import msgspec

from northstar.domain.events import Event
from northstar.domain.jobs import JobBody, JobStatus
from northstar.domain.requirements import RequirementClass
from northstar.store.messages import InspectedJob

if TYPE_CHECKING:
    from collections.abc import Iterable

_FINAL_KINDS = {f"job.{status}": status for status in JobStatus if status.is_final}
#: A finished job is at work again.
_REVIVING_KINDS = frozenset({"job.replayed", "job.arrived"})
_SUMMARY_CHARACTERS = 1_000


class FinishedJob(msgspec.Struct, frozen=True, kw_only=True):
    """A finished job as history keeps it. None is "not known" or "does not apply". Times are the cell's, ms since epoch.

    `waited_ms` runs from submission to the last start, `ran_ms` from there to the end; a job that did not run at its end
    has no `ran_ms`. `machine` is the one that ran it last, or the cell to which it moved.
    """

    job_id: str
    status: JobStatus
    tenant: str | None = None
    pool: str | None = None
    service: str | None = None
    submitted_ms: int | None = None
    started_ms: int | None = None
    finished_ms: int
    waited_ms: int | None = None
    ran_ms: int | None = None
    attempts: int | None = None
    recoveries: int | None = None
    machine: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    result_bytes: int | None = None
    #: The beginning of the result, as text.
    result_summary: str | None = None
    epoch: int
    sequence: int


class Turns(msgspec.Struct, frozen=True):
    """What a batch means for the rows of jobs: these ended (by their last event), those are at work again."""

    ended: dict[str, Event]
    revived: set[str]


def storable(text: str) -> str:
    """Text as PostgreSQL takes it, which has no NUL in it."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def turns_of(events: Iterable[Event]) -> Turns:
    """The last word of the events about each job that ended or went back to work."""
    ended: dict[str, Event] = {}
    revived: set[str] = set()
    for event in events:
        if event.kind in _FINAL_KINDS:
            ended[event.subject] = event
            revived.discard(event.subject)
        elif event.kind in _REVIVING_KINDS:
            ended.pop(event.subject, None)
            revived.add(event.subject)
    return Turns(ended, revived)


def finished_job(event: Event, found: InspectedJob | None) -> FinishedJob:
    """The row of a job that ended with `event`; `found` is the job as the cell has it now, if it still does.

    A job that was replayed since has another record; then only what cannot have changed is taken from it, and its next
    end brings the rest.
    """
    row = FinishedJob(
        job_id=storable(event.subject),
        status=_FINAL_KINDS[event.kind],
        finished_ms=event.at_ms,
        attempts=event.data.get("attempts"),
        machine=_text(event.data.get("machine") or event.data.get("target")),
        error_code=_text(event.data.get("code")),
        started_ms=event.data.get("started_ms") or None,
        epoch=event.id.epoch,
        sequence=event.id.sequence,
    )
    if found is None:
        return row
    pool, service = place_of(found)
    row = msgspec.structs.replace(row, tenant=_text(found.record.tenant), pool=pool, service=service)
    return _completed(row, found) if found.record.last_event == event.id.sequence else row


def place_of(found: InspectedJob) -> tuple[str | None, str | None]:
    """Pool and service; what was never said in our words is None."""
    if found.lane_key:
        return _read_lane(found.lane_key)
    try:
        body = msgspec.json.decode(found.body or "{}", type=JobBody)
    except msgspec.MsgspecError:
        return None, None
    return body.pool, body.service


@functools.lru_cache(maxsize=1_024)
def _read_lane(key: str) -> tuple[str | None, str | None]:
    try:
        hard = msgspec.json.decode(key, type=tuple[RequirementClass, msgspec.Raw])[0]
    except msgspec.MsgspecError:
        return None, None
    return hard.pool, hard.service


def _completed(row: FinishedJob, found: InspectedJob) -> FinishedJob:
    record = found.record
    started_ms = record.started_ms or None
    ran = started_ms is not None and row.machine is not None and row.status is not JobStatus.MOVED
    return msgspec.structs.replace(
        row,
        submitted_ms=record.submitted_ms,
        started_ms=started_ms,
        waited_ms=None if started_ms is None else max(0, started_ms - record.submitted_ms),
        ran_ms=max(0, record.finished_ms - (started_ms or 0)) if ran else None,
        attempts=record.attempts,
        recoveries=record.recoveries,
        error_code=_text(record.error_code),
        error_message=_text(record.error_message),
        result_bytes=len(found.result.encode()) if found.result else None,
        result_summary=_text(found.result[:_SUMMARY_CHARACTERS]),
    )


def _text(value: Any) -> str | None:
    return storable(str(value)) if value else None
