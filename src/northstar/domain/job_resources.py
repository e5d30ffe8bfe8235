"""Jobs as the HTTP interface shows them, and what may be asked for of many at once."""

from __future__ import annotations

import contextlib
from typing import Annotated, Any, Literal

import msgspec

from northstar.domain.explanations import Action
from northstar.domain.jobs import JobId, JobStatus, JobView, Tenant
from northstar.domain.queue_place import QueuePlace
from northstar.domain.requirements import Pool, RequirementClass, Word

#: Where jobs may be looked for, in the order in which a list goes through them.
Place = Literal["running", "waiting", "delayed", "finished"]
PLACES: tuple[Place, ...] = ("running", "waiting", "delayed", "finished")


class JobFault(msgspec.Struct, frozen=True, kw_only=True):
    """Why a job failed, or was ended: a stable code, and a sentence for people."""

    code: str
    message: str


class JobLinks(msgspec.Struct, frozen=True, kw_only=True):
    """Where more is told of a job: paths on the server that was asked."""

    self: str
    events: str
    result: str
    files: str
    decision: str
    cancel: str


class JobResource(msgspec.Struct, frozen=True, kw_only=True):
    """A job as it stands. Times are ms since the epoch by the cell's clock; 0 is "not yet"."""

    id: str
    status: JobStatus
    tenant: str
    service: str
    pool: str
    priority: int
    attempts: int
    max_attempts: int
    #: Machines that were lost while they ran it; not charged as attempts.
    recoveries: int
    submitted_ms: int
    started_ms: int
    finished_ms: int
    #: Of a delayed one: when it is tried again.
    due_ms: int
    #: Which machine runs it, or ran it last; empty: none, or not known.
    machine: str
    error: JobFault | None
    #: Why its service is not told: a later version wrote the job; empty: it is told.
    unreadable: str = ""
    #: Where it stands in the queue and when it is expected to start; of one that waits, where it was asked for alone.
    place: QueuePlace | None
    urls: JobLinks


class SubmittedJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job that was taken in."""

    id: str
    #: It was known already, by its id or idempotency key, and nothing new has come into being.
    replayed: bool
    #: The pool in which it waits, or waited last, and why; empty: a later version decided it, or it cannot be told at present.
    pool: str
    because: str
    #: Why nobody can run it as things are; empty: somebody can.
    unservable: str
    #: What would have to change before anybody can run it.
    actions: tuple[Action, ...]
    urls: JobLinks


class SubmittedJobs(msgspec.Struct, frozen=True, kw_only=True):
    """Jobs that were taken in together, in the order of the request."""

    jobs: tuple[SubmittedJob, ...]


class JobPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some jobs of a list. A page may hold fewer than asked for and not be the last: go on while there is a cursor."""

    jobs: tuple[JobResource, ...]
    #: Where the next page begins; empty: this is the last.
    cursor: str


class JobFilter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which jobs are meant; what is left out means any."""

    status: JobStatus | None = None
    tenant: Tenant | None = None
    service: Word | None = None
    pool: Pool | None = None
    error_code: Annotated[str, msgspec.Meta(max_length=128)] | None = None

    def may_accept(self, *, status: str, tenant: str, error_code: str) -> bool:
        """Whether a job of which no more is known yet may be meant."""
        pairs = ((self.status, status), (self.tenant, tenant), (self.error_code, error_code))
        return all(wanted is None or wanted == found for wanted, found in pairs)

    @property
    def asks_for_record(self) -> bool:
        """Whether what the queue keeps beside the body may decide already."""
        return any(one is not None for one in (self.status, self.tenant, self.error_code))

    @property
    def asks_for_work(self) -> bool:
        """Whether what a job was submitted with decides too."""
        return self.service is not None or self.pool is not None

    def accepts(self, view: JobView) -> bool:
        """Whether a job, with its body, is meant."""
        service = view.body.service if view.body is not None else ""
        pairs = (
            (self.status, view.status),
            (self.tenant, view.tenant),
            (self.service, service),
            (self.pool, pool_of(view)),
            (self.error_code, view.error_code),
        )
        return all(wanted is None or wanted == found for wanted, found in pairs)

    def places(self) -> tuple[Place, ...]:
        """Where such jobs can be."""
        match self.status:
            case None:
                return PLACES
            case JobStatus.QUEUED | JobStatus.OFFERED | JobStatus.LEAVING:
                return ("waiting",)
            case JobStatus.RUNNING:
                return ("running",)
            case JobStatus.DELAYED:
                return ("delayed",)
            case _:
                return ("finished",)


class JobChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What shall be changed of one job."""

    priority: Annotated[int, msgspec.Meta(ge=0, le=100)]


class CancelBecause(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a job is cancelled, for the record."""

    because: Annotated[str, msgspec.Meta(max_length=256)] = ""


class BulkChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What shall become of many jobs: those that are named, or those that a filter means, never both."""

    action: Literal["cancel", "retry", "reprioritise"]
    ids: Annotated[tuple[JobId, ...], msgspec.Meta(max_length=500)] | None = None
    filter: JobFilter | None = None
    #: For `reprioritise`.
    priority: Annotated[int, msgspec.Meta(ge=0, le=100)] | None = None
    because: Annotated[str, msgspec.Meta(max_length=256)] = ""
    #: At most so many of those that the filter means.
    limit: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 500
    #: Only say which jobs are meant.
    dry_run: bool = False


class JobOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one job of many."""

    id: str
    #: `ok`, or what the queue says of it, such as `canceled` or `canceling`; of a refusal its code.
    outcome: str
    refused: bool = False


class BulkOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of each; with `more`, the filter means others too that were not touched."""

    jobs: tuple[JobOutcome, ...]
    more: bool = False


class JobFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a job has left."""

    name: str
    media_type: str
    size_bytes: int
    sha256: str
    url: str


class JobResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a job that succeeded has left: the answer of its engine, and its files."""

    id: str
    result: Any
    files: tuple[JobFile, ...]


def pool_of(view: JobView) -> str:
    """The pool of its lane; once that is forgotten, the one that it was submitted to."""
    if view.lane_key:
        with contextlib.suppress(msgspec.MsgspecError):  # a lane of a later version
            hard, _ = msgspec.json.decode(view.lane_key, type=tuple[RequirementClass, msgspec.Raw])
            return hard.pool
    return view.body.pool if view.body is not None else ""


def links(job_id: str) -> JobLinks:
    """Where a job is found, as paths."""
    base = f"/v1/jobs/{job_id}"
    return JobLinks(
        self=base,
        events=f"{base}/events",
        result=f"{base}/result",
        files=f"{base}/files",
        decision=f"{base}/decision",
        cancel=f"{base}/cancel",
    )


def resource(view: JobView, *, place: QueuePlace | None = None) -> JobResource:
    """A job, with its body, as it is shown."""
    fault = JobFault(code=view.error_code, message=view.error_message) if view.error_code else None
    return JobResource(
        id=view.id,
        status=view.status,
        tenant=view.tenant,
        service=view.body.service if view.body is not None else "",
        pool=pool_of(view),
        priority=view.priority,
        attempts=view.attempts,
        max_attempts=view.max_attempts,
        recoveries=view.recoveries,
        submitted_ms=view.submitted_ms,
        started_ms=view.started_ms,
        finished_ms=view.finished_ms,
        due_ms=view.due_ms,
        machine=view.machine,
        error=fault,
        unreadable=view.unreadable,
        place=place,
        urls=links(view.id),
    )
