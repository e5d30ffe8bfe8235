"""Jobs: submit, look at, change."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from litestar import Request, Response, get, patch, post
from litestar.params import FromPath, HeaderParameter, QueryParameter, RawBody

from northstar.broker.job_lists import MAX_PAGE
from northstar.broker.requests import MAX_SUBMISSION_BYTES, BatchTooLarge, InvalidJob, read_requests
from northstar.domain.api_keys import Scope
from northstar.domain.errors import NorthstarError
from northstar.domain.job_resources import (
    BulkChange,
    BulkOutcome,
    CancelBecause,
    JobChange,
    JobFilter,
    JobPage,
    JobResource,
    SubmittedJob,
    SubmittedJobs,
)
from northstar.domain.jobs import JobRequest
from northstar.domain.traces import trace_of
from northstar.surfaces.http.v1.access import caller_of
from northstar.surfaces.http.v1.bodies import MAX_BODY_BYTES, read_body, read_query
from northstar.surfaces.http.v1.preferences import applied, preferred_wait_s
from northstar.telemetry import logger

if TYPE_CHECKING:
    from litestar.handlers import HTTPRouteHandler

    from northstar.broker.job_desk import JobDesk
    from northstar.broker.job_waits import JobWaits
    from northstar.domain.api_keys import Caller

log = logger(__name__)

JOBS: Final = "/v1/jobs"
_KEY_HEADER: Final = "Idempotency-Key"
#: Codes of refusals, beside those that every route may have.
_SUBMITTING: Final = (
    "NS_BATCH_TOO_LARGE",
    "NS_CELL_FULL",
    "NS_DUPLICATE_ID",
    "NS_EVENTS_BACKLOG",
    "NS_IDEMPOTENCY_REUSED",
    "NS_INVALID_JOB",
    "NS_JOB_EXISTS",
    "NS_OUT_OF_MEMORY",
    "NS_TENANT_FULL",
    "NS_TOO_MANY_CLASSES",
    "NS_TOO_MANY_LANES",
    "NS_UNKNOWN_WORD",
)
_LISTING: Final = ("NS_CURSOR_INVALID", "NS_NO_SUCH_JOB", "NS_TENANT_UNNAMED")
_CHANGING: Final = (
    "NS_JOB_CANCELED",
    "NS_JOB_FINISHED",
    "NS_JOB_IN_TRANSFER",
    "NS_JOB_STARTED",
    "NS_JOB_UNREADABLE",
    "NS_NOT_DEAD",
)
_Asked = Request[Any, Any, Any]
#: Longer ones, and such with blanks, are refused by `_with_key`, in words.
_IdempotencyKey = Annotated[str | None, HeaderParameter(name=_KEY_HEADER, max_length=256)]
#: One that cannot be read is passed over, as W3C Trace Context asks.
_Traceparent = Annotated[str | None, HeaderParameter(name="traceparent")]
_Limit = Annotated[int, QueryParameter(ge=1, le=MAX_PAGE)]
_Text = Annotated[str | None, QueryParameter(max_length=256)]
_Cursor = Annotated[str, QueryParameter(max_length=2_048)]


def submit_routes(desk: JobDesk, waits: JobWaits) -> list[HTTPRouteHandler]:
    """Jobs come in, one or many."""

    @post(
        JOBS,
        status_code=202,
        request_max_body_size=MAX_SUBMISSION_BYTES,
        opt={"scope": Scope.SUBMIT, "body": JobRequest, "codes": _SUBMITTING, "also": (200,)},
    )
    async def submit_job(
        request: _Asked, body: RawBody, idempotency_key: _IdempotencyKey = None, traceparent: _Traceparent = None
    ) -> Response[SubmittedJob | JobResource]:
        """Submit one job. With an `Idempotency-Key`, or an id, the call may be repeated: it is answered with the same job.

        The `trace` of a W3C `traceparent` goes with the job into all logs; without one it gets a trace of its own.
        With `Prefer: wait=N` it is answered with 200 and the job as it ended, if it ends within N seconds (0 to 60) and its end can be told.
        """
        (wanted,) = _one(read_requests(body))
        if idempotency_key is not None:
            wanted = _with_key(wanted, idempotency_key)
        (taken,) = await desk.submit(caller_of(request), [wanted], trace=trace_of(traceparent or ""))
        headers = {"Location": taken.urls.self}
        if taken.replayed:
            headers["Idempotency-Replayed"] = "true"
        seconds = preferred_wait_s(request)
        job = await _ended(desk, waits, caller_of(request), taken.id, within_s=seconds)
        if job is not None:
            return Response(job, status_code=200, headers=headers | applied(seconds))
        return Response(taken, status_code=202, headers=headers)

    @post(
        f"{JOBS}/batch",
        status_code=202,
        request_max_body_size=MAX_SUBMISSION_BYTES,
        opt={"scope": Scope.SUBMIT, "body": list[JobRequest], "codes": _SUBMITTING},
    )
    async def submit_batch(
        request: _Asked, body: RawBody, idempotency_key: _IdempotencyKey = None, traceparent: _Traceparent = None
    ) -> SubmittedJobs:
        """Submit 1 to 500 jobs, all or none.

        With an `Idempotency-Key`, jobs without an id or a key of their own get that key with `.` and their place from 1 on, so the same
        batch may be sent again.
        """
        wanted = read_requests(body)
        if idempotency_key is not None:
            wanted = [_with_place(one, idempotency_key, place) for place, one in enumerate(wanted, start=1)]
        trace = trace_of(traceparent or "")
        return SubmittedJobs(jobs=tuple(await desk.submit(caller_of(request), wanted, trace=trace)))

    return [submit_job, submit_batch]


def look_routes(desk: JobDesk, waits: JobWaits) -> list[HTTPRouteHandler]:
    """Jobs as they stand."""

    @get(JOBS, opt={"scope": Scope.READ, "codes": _LISTING, "query": JobFilter})
    async def list_jobs(
        *,
        request: _Asked,
        status: _Text = None,
        tenant: _Text = None,
        service: _Text = None,
        pool: _Text = None,
        error_code: _Text = None,
        idempotency_key: _Text = None,
        limit: _Limit = 50,
        cursor: _Cursor = "",
    ) -> JobPage:
        """Jobs, page by page: running ones, then those that wait, that pause before a retry, and that are over, the latest first.

        With `idempotency_key`, the one job that was submitted with it.
        """
        caller = caller_of(request)
        wanted = read_query(
            {"status": status, "tenant": tenant, "service": service, "pool": pool, "error_code": error_code}, JobFilter
        )
        if idempotency_key is not None:
            return JobPage(
                jobs=(await desk.by_idempotency_key(caller, idempotency_key, tenant=wanted.tenant),), cursor=""
            )
        return await desk.page(caller, wanted, limit=limit, cursor=cursor)

    @get(f"{JOBS}/{{job:str}}", opt={"scope": Scope.READ, "codes": ("NS_JOB_UNREADABLE",)})
    async def get_job(request: _Asked, job: FromPath[str]) -> Response[JobResource]:
        """One job as it stands, with its place in the queue while it waits; with `Prefer: wait=N` once it is over, or after N seconds (0 to 60)."""
        found = await desk.get(caller_of(request), job)
        seconds = preferred_wait_s(request)
        if not seconds:
            return Response(found)
        is_over = found.status.is_final or await waits.until_over(
            job, key_id=caller_of(request).key_id, within_s=seconds
        )
        found = found if found.status.is_final else await desk.get(caller_of(request), job)
        return Response(found, headers=applied(seconds) if is_over else {})

    return [list_jobs, get_job]


def change_routes(desk: JobDesk) -> list[HTTPRouteHandler]:
    """What becomes of jobs."""

    @post(
        f"{JOBS}/{{job:str}}/cancel",
        status_code=200,
        request_max_body_size=MAX_BODY_BYTES,
        opt={"scope": Scope.SUBMIT, "body": CancelBecause, "codes": _CHANGING},
    )
    async def cancel_job(request: _Asked, job: FromPath[str], body: RawBody) -> JobResource:
        """Cancel a job wherever it is; a running one is stopped on its machine."""
        return await desk.cancel(caller_of(request), job, because=read_body(body, CancelBecause).because)

    @post(f"{JOBS}/{{job:str}}/retry", status_code=200, opt={"scope": Scope.SUBMIT, "codes": _CHANGING})
    async def retry_job(request: _Asked, job: FromPath[str]) -> JobResource:
        """Send a job that failed for good back to work, its counters at zero."""
        return await desk.retry(caller_of(request), job)

    @patch(
        f"{JOBS}/{{job:str}}",
        request_max_body_size=MAX_BODY_BYTES,
        opt={"scope": Scope.SUBMIT, "body": JobChange, "codes": _CHANGING},
    )
    async def change_job(request: _Asked, job: FromPath[str], body: RawBody) -> JobResource:
        """Change the priority of a job that has not started."""
        return await desk.reprioritise(caller_of(request), job, priority=read_body(body, JobChange).priority)

    @post(
        f"{JOBS}/changes",
        status_code=200,
        request_max_body_size=MAX_BODY_BYTES,
        opt={"scope": Scope.SUBMIT, "body": BulkChange, "codes": ("NS_BULK_UNCLEAR",)},
    )
    async def change_jobs(request: _Asked, body: RawBody) -> BulkOutcome:
        """Cancel, retry or reprioritise many jobs: those that are named, or those that a filter means.

        A filter for `cancel` and `reprioritise` means unfinished jobs alone, one for `retry` those that failed for good. At most 100,000 of
        them are looked at; `more` says that there may be others.
        """
        return await desk.change_many(caller_of(request), read_body(body, BulkChange))

    return [cancel_job, retry_job, change_job, change_jobs]


def job_routes(desk: JobDesk, waits: JobWaits) -> list[HTTPRouteHandler]:
    """All routes of jobs themselves."""
    return [*submit_routes(desk, waits), *look_routes(desk, waits), *change_routes(desk)]


async def _ended(desk: JobDesk, waits: JobWaits, caller: Caller, job_id: str, *, within_s: int) -> JobResource | None:
    """The job, if it ends in time. The job was taken, so whatever keeps its end from being told is no error of the submission."""
    try:
        if within_s and await waits.until_over(job_id, key_id=caller.key_id, within_s=within_s):
            return await desk.get(caller, job_id)
    except NorthstarError as exc:
        log.info("end_not_told", job=job_id, code=exc.code, error=str(exc))
    return None


def _one(requests: list[JobRequest]) -> list[JobRequest]:
    if len(requests) != 1:
        raise BatchTooLarge(len(requests), at_most=1)
    return requests


def _with_place(wanted: JobRequest, key: str, place: int) -> JobRequest:
    """A job of a batch under the key of the header and its place. Raises InvalidJob: it is no key, or too long for that."""
    if wanted.id is not None or wanted.idempotency_key is not None:
        return wanted
    return _with_key(wanted, f"{key}.{place}")


def _with_key(wanted: JobRequest, key: str) -> JobRequest:
    """The request under the key of the header. Raises InvalidJob: it is none, or the body says another."""
    if re.fullmatch(r"[\x21-\x7e]{1,128}", key) is None:
        raise InvalidJob(
            f"the header {_KEY_HEADER}",
            detail="a key is 1 to 128 printable letters without blanks, and in a batch so short that `.` and a place fit in",
        )
    if wanted.idempotency_key not in {None, key}:
        raise InvalidJob("the body", detail=f"its `idempotency_key` is another one than the header {_KEY_HEADER}")
    return msgspec.structs.replace(wanted, idempotency_key=key)
