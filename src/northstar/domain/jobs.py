"""Jobs: what is asked for, what a machine gets, and how it stands."""

from __future__ import annotations

import enum
import hashlib
import re
from typing import Annotated, Any, Final

import msgspec

from northstar.domain.models import ModelName
from northstar.domain.requirements import LaneKey, Pool, Requirements, Word, lane_of
from northstar.domain.workloads import Speciality

_JOB_ID: Final = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"
_MOST_LETTERS: Final = 64
JobId = Annotated[str, msgspec.Meta(min_length=1, max_length=_MOST_LETTERS, pattern=_JOB_ID)]
Tenant = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]*$")]
#: What a tenant calls one of its own, a user or a session; it says nothing to us and is only ever compared.
Label = Annotated[str, msgspec.Meta(max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$")]
_Seconds = Annotated[float, msgspec.Meta(gt=0, le=30 * 86_400)]


class JobStatus(enum.StrEnum):
    """Where a job is. Only the last five are final."""

    QUEUED = "queued"
    OFFERED = "offered"  # handed to a machine that waited, not accepted yet
    RUNNING = "running"
    DELAYED = "delayed"  # pauses before its next attempt
    LEAVING = "leaving"  # on its way to another cell
    SUCCEEDED = "succeeded"
    FAILED = "failed"  # a dead letter: inspect it, replay it
    CANCELED = "canceled"
    EXPIRED = "expired"  # a deadline set at submit has passed
    MOVED = "moved"  # lives in another cell now

    @property
    def is_final(self) -> bool:
        """Whether the job will not change by itself any more."""
        return self in _FINAL


_FINAL = {JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELED, JobStatus.EXPIRED, JobStatus.MOVED}


class RetryRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often the work may fail, and how long to pause between attempts."""

    max_attempts: Annotated[int, msgspec.Meta(ge=1, le=100)] = 3
    #: Pause before the second attempt; doubles each time, up to the cap, with jitter.
    backoff_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 1.0
    backoff_cap_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 60.0
    #: How many machines may be lost while running the job before it counts as their killer. Not charged as attempts.
    max_recoveries: Annotated[int, msgspec.Meta(ge=0, le=1_000)] = 10


#: Where a job waits that names no pool, when nobody routes it.
UNROUTED: Final = "standard"
#: One value for all, so that a body can tell by identity that nothing is asked, and leave it out.
_NOTHING_ASKED = Requirements()


class JobRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One unit of work for one service, as a client submits it."""

    service: Word
    payload: dict[str, Any] = {}
    id: JobId | None = None
    #: The pool in which it shall run; empty: the one that North Star chooses.
    pool: Pool | None = None
    #: What of the Standard pool's specialities it is; empty: what its payload says, if it does.
    speciality: Speciality | None = None
    requires: Requirements = _NOTHING_ASKED
    tenant: Tenant = "default"
    #: Who of the tenant asked, as the tenant calls them: durations are learned for each.
    user: Label = ""
    #: The sitting in which it was asked, as the tenant calls it.
    session: Label = ""
    #: The job whose work led to this one.
    parent: JobId | None = None
    #: 0 to 100; higher goes first.
    priority: Annotated[int, msgspec.Meta(ge=0, le=100)] = 50
    #: Expected run time in seconds; empty: what North Star expects. What the job counts for in its tenant's fair share.
    expected_s: Annotated[float, msgspec.Meta(gt=0, le=86_400)] | None = None
    retry: RetryRule = RetryRule()
    #: Give up unless it has started, or finished, so many seconds after submit.
    start_within_s: _Seconds | None = None
    finish_within_s: _Seconds | None = None
    #: How long the finished job stays readable in the queue.
    retention_s: Annotated[float, msgspec.Meta(ge=1, le=90 * 86_400)] = 86_400.0
    #: Same key and same body: the same job. Kept as long as the job.
    idempotency_key: Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$")] | None = None

    def lane(self) -> LaneKey:
        """The lane in which it waits; of one that nobody has routed, that of the Standard pool."""
        return lane_of(pool=self.pool or UNROUTED, service=self.service, requires=self.requires)

    def body(self, *, declared: tuple[ModelName, ...] = (), trace: str = "") -> bytes:
        """What the machine gets. `declared` names the models whose sources are the operator's word and not the sender's.

        `trace` is the id of the trace to which the submission belongs (`domain.traces`).
        """
        return msgspec.json.encode(
            JobBody(
                service=self.service,
                payload=self.payload,
                pool=self.pool or UNROUTED,
                requires=self.requires,
                finish_within_s=self.finish_within_s,
                user=self.user,
                session=self.session,
                parent=self.parent,
                speciality=self.speciality,
                declared=declared,
                trace=trace,
            )
        )

    def digest(self) -> str:
        """Short hash of everything that makes this request what it is, apart from its id."""
        text = msgspec.json.encode(msgspec.structs.replace(self, id=None), order="deterministic")
        return hashlib.sha256(text).hexdigest()[:32]


class JobBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The part of a request that travels to the machine. It names the lane, so that a dead letter can return to it."""

    service: str
    payload: dict[str, Any]
    pool: str = UNROUTED
    requires: Requirements = _NOTHING_ASKED
    finish_within_s: float | None = None
    user: str = ""
    session: str = ""
    parent: str | None = None
    speciality: Speciality | None = None
    #: Models that are required, and whose sources the broker has from the catalogue: a machine may use its tokens, buckets and folders
    #: for them. A request has no such field, so no client can say it.
    declared: tuple[ModelName, ...] = ()
    #: The trace to which its submission belongs, for logs; empty: to none. What was sent has no such field, and its digest does not know it.
    trace: str = ""

    def lane(self) -> LaneKey:
        """The lane of the request that this is a part of."""
        return lane_of(pool=self.pool, service=self.service, requires=self.requires)


class ClaimedJob(msgspec.Struct, frozen=True, array_like=True):
    """A job under this machine's lease. `attempt` counts failures of the work plus this try."""

    id: str
    token: str
    attempt: int
    recoveries: int
    lease_ms: int
    body: str

    def read_body(self) -> JobBody:
        """The job's body as a type."""
        return msgspec.json.decode(self.body, type=JobBody)


class JobView(msgspec.Struct, frozen=True, kw_only=True):
    """A job as it stands. Times are ms since epoch by the cell's clock; 0 is "not yet"."""

    id: str
    status: JobStatus
    tenant: str
    priority: int
    attempts: int
    max_attempts: int
    recoveries: int
    submitted_ms: int
    started_ms: int
    finished_ms: int
    due_ms: int
    machine: str
    lane_key: str
    error_code: str = ""
    error_message: str = ""
    body: JobBody | None = None
    #: Why the body is not told though it was asked for; empty: it is.
    unreadable: str = ""
    result: Any = None


def is_job_id(text: str) -> bool:
    """Whether a job can be called so.

    >>> is_job_id("job_1"), is_job_id("../1")
    (True, False)
    """
    return len(text) <= _MOST_LETTERS and re.fullmatch(_JOB_ID, text) is not None
