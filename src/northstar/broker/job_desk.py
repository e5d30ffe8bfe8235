"""What clients ask of jobs by HTTP: each key reaches the jobs of its tenant, and no others are there for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec

from northstar.broker.batch_refusals import about_job
from northstar.broker.job_lists import JobLists
from northstar.broker.job_views import view_of
from northstar.broker.requests import InvalidJob
from northstar.domain.action_calls import with_calls
from northstar.domain.errors import InvalidRequest, Unavailable
from northstar.domain.job_resources import (
    BulkChange,
    BulkOutcome,
    JobFilter,
    JobOutcome,
    JobPage,
    JobResource,
    SubmittedJob,
    links,
    resource,
)
from northstar.domain.jobs import JobStatus, is_job_id
from northstar.domain.refusals import JobCanceled, NoSuchJob, refusal
from northstar.store.idempotency import job_of_key

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from northstar.broker.dead_letters import DeadLetters
    from northstar.broker.job_log import JobLog
    from northstar.broker.job_past import JobPast
    from northstar.broker.queue_places import QueuePlaces
    from northstar.broker.sealed_cursors import SealedCursors
    from northstar.broker.submission import Accepted, Submitter
    from northstar.domain.api_keys import Caller
    from northstar.domain.jobs import JobRequest, JobView
    from northstar.store.cell import Cell
    from northstar.store.messages import InspectedJob, JobIndex, Outcome

#: Jobs of one call; as the function library bounds it.
_CHUNK: Final = 500
#: Words that stand where an id does in the addresses of jobs: nobody could ask for a job that is called so.
NOT_IDS: Final = frozenset({"batch", "changes"})
#: Where jobs are that a change can mean.
_UNFINISHED: Final[tuple[JobIndex, ...]] = ("leases", "waiting", "delayed")
_WHERE_MEANT: Final[dict[str, tuple[JobIndex, ...]]] = {
    "cancel": _UNFINISHED,
    "reprioritise": _UNFINISHED,
    "retry": ("dead",),
}
_LIST: Final = "jobs"


class BulkUnclear(InvalidRequest):
    """A change of many jobs does not say which, or not how."""

    code: ClassVar[str] = "NS_BULK_UNCLEAR"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the change cannot be made: {reason}")


class TenantUnnamed(InvalidRequest):
    """A job is looked for by its idempotency key, by a key of all tenants, and nobody says of which tenant it is."""

    code: ClassVar[str] = "NS_TENANT_UNNAMED"

    def __init__(self) -> None:
        super().__init__("each tenant has idempotency keys of its own; say with `tenant` whose job is looked for")


class NoSuchIdempotencyKey(NoSuchJob):
    """No job of the tenant was submitted with this key, or it is forgotten."""

    def __init__(self, key: str) -> None:
        super().__init__({"job": f"with the idempotency key {key}"})


class JobDesk:
    """The jobs of one cell as keys reach them."""

    def __init__(
        self,
        cell: Cell,
        *,
        submitter: Submitter,
        places: QueuePlaces,
        past: JobPast,
        dead_letters: DeadLetters,
        cursors: SealedCursors,
        new_trace: Callable[[], str],
        job_log: JobLog,
    ) -> None:
        """`new_trace` gives the id of a trace, for a submission that brings none."""
        self._cell = cell
        self._submitter = submitter
        self._places = places
        self._past = past
        self._dead_letters = dead_letters
        self._cursors = cursors
        self._new_trace = new_trace
        self._job_log = job_log
        self._lists = JobLists(cell)

    async def submit(self, caller: Caller, requests: Sequence[JobRequest], *, trace: str = "") -> list[SubmittedJob]:
        """Accept all of them or none. A key of one tenant submits for that one, whatever a request leaves out.

        `trace` is the id of the trace to which they belong; without one they get one of their own, all of them the same.

        Raises:
            TenantForeign: a request names another tenant. InvalidJob: its id is a word of an address, so that it could not be asked for.
            And as `Submitter.submit_and_tell`.
        """
        theirs = []
        for place, request in enumerate(requests):
            with about_job(requests, place):
                if request.id in NOT_IDS:
                    raise InvalidJob(
                        "the body", detail=f"`id` {request.id!r} is a word of an address here; give it another one"
                    )
                theirs.append(_of_tenant(caller, request))
        trace = trace or self._new_trace()
        taken = [_submitted(one) for one in await self._submitter.submit_and_tell(theirs, trace=trace)]
        self._job_log.accepted(theirs, taken, trace=trace, by=caller.by)
        return taken

    async def get(self, caller: Caller, job_id: str) -> JobResource:
        """A job as it stands, with its place in the queue. Raises NoSuchJob."""
        job, now_ms = await self._found(caller, job_id)
        place = await self._places.of(job, now_ms=now_ms)
        (view,) = await self._past.with_machines_if_told([view_of(job)])
        return resource(view, place=place)

    async def view(self, caller: Caller, job_id: str) -> JobView:
        """The record of a job, with its body and its result. Raises NoSuchJob."""
        job, _ = await self._found(caller, job_id, results=True)
        return view_of(job)

    async def expect(self, caller: Caller, job_id: str) -> None:
        """Raises NoSuchJob: it is none, or none of this key's business."""
        await self._found(caller, job_id, bodies=False)

    async def by_idempotency_key(self, caller: Caller, key: str, *, tenant: str | None) -> JobResource:
        """The job that was submitted with this key. Raises NoSuchJob, TenantForeign, TenantUnnamed."""
        whose = caller.tenant_for(tenant)
        if whose is None:
            raise TenantUnnamed
        job_id = await job_of_key(self._cell.client, self._cell.keys, tenant=whose, key=key)
        if job_id is None:
            raise NoSuchIdempotencyKey(key)
        return await self.get(caller, job_id)

    async def page(self, caller: Caller, wanted: JobFilter, *, limit: int, cursor: str) -> JobPage:
        """A page of jobs; see `JobLists`. Raises CursorInvalid, TenantForeign."""
        opened = await self._cursors.opened(cursor, of=_LIST)
        found, after = await self._lists.page(_theirs(caller, wanted), limit=limit, cursor=opened)
        views = await self._past.with_machines_if_told(found)
        return JobPage(jobs=tuple(resource(view) for view in views), cursor=await self._cursors.sealed(after, of=_LIST))

    async def cancel(self, caller: Caller, job_id: str, *, because: str) -> JobResource:
        """Cancel a job wherever it is. Raises NoSuchJob, and what the queue refuses."""
        job, now_ms = await self._found(caller, job_id)
        why = _because(caller, because)
        _expect_done(await self._cell.cancel([job_id], because=why), job_id)
        code = JobCanceled.code
        over = {"status": JobStatus.CANCELED, "finished_ms": now_ms, "error_code": code, "error_message": why}
        return await self._after(caller, job, {} if job.record.status == JobStatus.CANCELED else over)

    async def reprioritise(self, caller: Caller, job_id: str, *, priority: int) -> JobResource:
        """Change the priority of a job that has not started. Raises NoSuchJob, and what the queue refuses."""
        job, _ = await self._found(caller, job_id)
        _expect_done(await self._cell.reprioritise([job_id], priority=priority), job_id)
        return await self._after(caller, job, {"priority": priority})

    async def retry(self, caller: Caller, job_id: str) -> JobResource:
        """Send a failed job back to work, its counters at zero. Raises NoSuchJob, and what the queue refuses."""
        job, now_ms = await self._found(caller, job_id)
        refused = (await self._dead_letters.replay([job_id]))[job_id]
        if refused is not None:
            raise refused
        anew = {"status": JobStatus.QUEUED, "submitted_ms": now_ms, "error_code": "", "error_message": ""}
        return await self._after(caller, job, anew | dict.fromkeys(("attempts", "recoveries", "finished_ms"), 0))

    async def _after(self, caller: Caller, job: InspectedJob, changed: dict[str, Any]) -> JobResource:
        """The job after it was changed; where it cannot be looked at now, as it was before with what is known to have changed.

        The change counts, so its answer is no error, after which the caller would make it again.
        """
        try:
            return await self.get(caller, job.id)
        except (Unavailable, NoSuchJob):
            return resource(msgspec.structs.replace(view_of(job), **changed))

    async def change_many(self, caller: Caller, change: BulkChange) -> BulkOutcome:
        """Change many jobs; each by itself, so that one refusal is none of the others'.

        Raises:
            BulkUnclear, TenantForeign
        """
        _check(change)
        ids, more = await self._meant(caller, change)
        if change.dry_run:
            return BulkOutcome(jobs=tuple(JobOutcome(id=job_id, outcome="meant") for job_id in ids), more=more)
        outcomes: list[JobOutcome] = []
        for first in range(0, len(ids), _CHUNK):
            outcomes += await self._changed(caller, change, ids[first : first + _CHUNK])
        return BulkOutcome(jobs=tuple(outcomes), more=more)

    async def _changed(self, caller: Caller, change: BulkChange, ids: Sequence[str]) -> list[JobOutcome]:
        jobs = (await self._cell.inspect(ids)).jobs if ids else []
        reached = {job.id for job in jobs if caller.reaches(job.record.tenant)}
        words: dict[str, str] = dict.fromkeys(ids, NoSuchJob.code)
        asked = [job_id for job_id in ids if job_id in reached]
        match change.action:
            case _ if not asked:
                pass
            case "cancel":
                done = await self._cell.cancel(asked, because=_because(caller, change.because))
                words |= {one.id: one.word for one in done}
            case "reprioritise":
                done = await self._cell.reprioritise(asked, priority=change.priority or 0)
                words |= {one.id: one.word for one in done}
            case "retry":
                replayed = await self._dead_letters.replay(asked)
                words |= {job_id: "ok" if refused is None else refused.code for job_id, refused in replayed.items()}
        return [JobOutcome(id=job_id, outcome=word, refused=word.startswith("NS_")) for job_id, word in words.items()]

    async def _meant(self, caller: Caller, change: BulkChange) -> tuple[list[str], bool]:
        """The jobs that are meant, and whether there are more."""
        if change.ids is not None:
            return list(dict.fromkeys(change.ids)), False
        wanted = _theirs(caller, change.filter or JobFilter())
        return await self._lists.meant(wanted, _WHERE_MEANT[change.action], limit=change.limit)

    async def _found(
        self, caller: Caller, job_id: str, *, bodies: bool = True, results: bool = False
    ) -> tuple[InspectedJob, int]:
        """A job of somebody else's is as one that does not exist, and so is what no job can be called."""
        if not is_job_id(job_id):
            raise NoSuchJob({"job": repr(job_id[:40])})
        reply = await self._cell.inspect([job_id], bodies=bodies, results=results)
        if not reply.jobs or not caller.reaches(reply.jobs[0].record.tenant):
            raise NoSuchJob({"job": job_id})
        return reply.jobs[0], reply.now_ms


def _theirs(caller: Caller, wanted: JobFilter) -> JobFilter:
    """Raises TenantForeign."""
    return msgspec.structs.replace(wanted, tenant=caller.tenant_for(wanted.tenant))


def _of_tenant(caller: Caller, request: JobRequest) -> JobRequest:
    """The request with its tenant. Only one that names none, or the key's own, is the key's business."""
    if caller.tenant is None:
        return request
    asked = None if request.tenant == _ANYBODY else request.tenant
    return msgspec.structs.replace(request, tenant=caller.tenant_for(asked))


#: What a request has as its tenant that names none.
_ANYBODY: Final = "default"


def _submitted(one: Accepted) -> SubmittedJob:
    decision = one.decision
    return SubmittedJob(
        id=one.job.id,
        replayed=one.job.replayed,
        pool="" if decision is None else decision.pool,
        because="" if decision is None else decision.because,
        # Of a job that was known it says what was so then.
        unservable="" if decision is None or one.job.replayed else decision.unservable,
        actions=with_calls(one.actions),
        urls=links(one.job.id),
    )


def _because(caller: Caller, because: str) -> str:
    return f"{because} ({caller.by})" if because else f"canceled by {caller.by}"


def _expect_done(outcomes: Sequence[Outcome], job_id: str) -> None:
    """Raises the refusal of a single job."""
    for outcome in outcomes:
        if outcome.word.startswith("NS_"):
            raise refusal(outcome.word, {"job": job_id})


def _check(change: BulkChange) -> None:
    if (change.ids is None) == (change.filter is None):
        raise BulkUnclear("name jobs by `ids`, or mean them by `filter`; an empty filter means all")
    if (change.action == "reprioritise") != (change.priority is not None):
        raise BulkUnclear("`priority` belongs to `reprioritise`, and only to that")
