"""What is sent of an event: `type`, `timestamp` and `data`, at most 20 KiB, and nothing that lets anybody do anything."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from northstar.domain.job_resources import JobFault, JobLinks, links

if TYPE_CHECKING:
    from northstar.domain.events import Event

MAX_BYTES: Final = 20 * 1024
#: Letters of any one text of an event, and of an error's sentence.
_MAX_TEXT: Final = 1_000
#: Facts of events that are nobody's business but the queue's: tokens of runs, lanes, and what machines measured.
_INTERNAL: Final = frozenset({"token", "lane", "report", "transfer", "session", "facts"})
#: What a job is after an event.
_STATUS: Final = {
    "job.submitted": "queued",
    "job.offered": "offered",
    "job.started": "running",
    "job.returned": "queued",
    "job.retrying": "delayed",
    "job.retried": "queued",
    "job.rerouted": "queued",
    "job.reprioritised": "queued",
    "job.replayed": "queued",
    "job.arrived": "queued",
    "job.leaving": "leaving",
    "job.moved": "moved",
    "job.succeeded": "succeeded",
    "job.failed": "failed",
    "job.canceled": "canceled",
    "job.expired": "expired",
}


class JobFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the job of an event. None and 0: nobody knows, or not yet."""

    tenant: str | None = None
    service: str | None = None
    pool: str | None = None
    submitted_ms: int = 0
    started_ms: int = 0
    attempts: int = 0
    error: JobFault | None = None


class _Job(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    status: str
    tenant: str | None
    service: str | None
    pool: str | None
    attempts: int
    submitted_ms: int
    started_ms: int
    finished_ms: int
    machine: str
    error: JobFault | None
    urls: JobLinks


def body_of(event: Event, *, cell: str, job: JobFacts | None) -> bytes:
    """The message of an event. Of a job what it was at that event, whatever has become of it since.

    >>> from northstar.domain.events import EventId
    >>> event = Event(id=EventId(1, 2), kind="cell.paused", subject="all", number=0, at_ms=0, data={"by": "ann", "token": "x"})
    >>> body_of(event, cell="c", job=None).decode()[:74]
    '{"type":"cell.paused","timestamp":"1970-01-01T00:00:00.000Z","data":{"event'
    """
    whole = _document(event, cell=cell, job=job, data=_public(event.data))
    body = msgspec.json.encode(whole)
    if len(body) > MAX_BYTES:  # many facts: those of the job and the event's own names are what nobody else can tell
        body = msgspec.json.encode(_document(event, cell=cell, job=job, data={"left_out": len(event.data)}))
    return body


def trial_body(webhook_id: str, *, kind: str, at_ms: int) -> bytes:
    """The message by which a receiver is tried."""
    return msgspec.json.encode({"type": kind, "timestamp": _iso(at_ms), "data": {"webhook": webhook_id}})


def _document(event: Event, *, cell: str, job: JobFacts | None, data: dict[str, Any]) -> dict[str, Any]:
    told = {
        "id": str(event.id),
        "kind": event.kind,
        "subject": event.subject,
        "number": event.number,
        "at_ms": event.at_ms,
    }
    shown: dict[str, Any] = {"event": told | {"facts": data}, "cell": cell}
    if job is not None:
        shown["job"] = _job(event, job)
    return {"type": event.kind, "timestamp": _iso(event.at_ms), "data": shown}


def _job(event: Event, job: JobFacts) -> _Job:
    status = _STATUS.get(event.kind, "")
    is_over = status in {"succeeded", "failed", "canceled", "expired", "moved"}
    error = job.error if is_over and status != "succeeded" else None
    return _Job(
        id=event.subject,
        status=status,
        tenant=job.tenant,
        service=job.service,
        pool=job.pool,
        attempts=job.attempts,
        submitted_ms=job.submitted_ms,
        started_ms=job.started_ms,
        finished_ms=event.at_ms if is_over else 0,
        machine=_text(str(event.data.get("machine") or "")),
        error=None if error is None else JobFault(code=_text(error.code), message=_text(error.message)),
        urls=links(event.subject),
    )


def _public(data: dict[str, Any]) -> dict[str, Any]:
    """Facts that are single values, shortened."""
    return {
        name: _text(value) if isinstance(value, str) else value
        for name, value in data.items()
        if name not in _INTERNAL and isinstance(value, str | int | float | bool)
    }


def _text(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else text[: _MAX_TEXT - 1] + "…"


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
