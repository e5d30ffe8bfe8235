"""What a broker logs of single jobs: taken in, given to a machine, ended there; each line with the job's id and its trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from northstar.domain.traces import trace_in
from northstar.telemetry import RationedLines, logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from northstar.domain.job_resources import SubmittedJob
    from northstar.domain.jobs import ClaimedJob, JobRequest
    from northstar.store.messages import Failure, Outcome

log = logger(__name__)

#: Jobs whose traces are remembered from when they were given out until they end.
_MOST_REMEMBERED: Final = 20_000


class JobLog:
    """One broker's lines. `per_s` of them are written in a second, 0 is none; `clock` counts seconds."""

    def __init__(self, *, per_s: int, clock: Callable[[], float]) -> None:
        self._lines = RationedLines(log, per_s=per_s, clock=clock)
        self._traces: dict[str, str] = {}

    def accepted(self, requests: Sequence[JobRequest], taken: Sequence[SubmittedJob], *, trace: str, by: str) -> None:
        """Jobs were taken in, or were known already: then machines name them by the trace of their first submission."""
        if self._lines.silent:
            return
        for request, job in zip(requests, taken, strict=True):
            known = {"known": True} if job.replayed else {}
            self._lines.info(
                "job_accepted",
                job=job.id,
                trace=trace,
                tenant=request.tenant,
                service=request.service,
                pool=job.pool,
                by=by,
                **known,
            )

    def given(self, machine: str, jobs: Iterable[ClaimedJob]) -> None:
        """A machine got jobs."""
        if self._lines.silent:
            return
        for job in jobs:
            self._remember(job.id, trace := trace_in(job.body))
            self._lines.info("job_given", job=job.id, **_told(trace), machine=machine, attempt=job.attempt)

    def ended(self, machine: str, outcomes: Iterable[Outcome], *, how: str, failures: Sequence[Failure] = ()) -> None:
        """What a machine said of jobs has been settled: each outcome's word says whether it counted."""
        if self._lines.silent:
            return
        said = {one.id: one for one in failures}
        for outcome in outcomes:
            trace = self._traces.pop(outcome.id, "")
            failed = said.get(outcome.id)
            why = {} if failed is None else {"code": failed.code, "error": failed.message[:500]}
            self._lines.info(
                "job_failed" if failed is not None else how,
                job=outcome.id,
                **_told(trace),
                machine=machine,
                outcome=outcome.word,
                **why,
            )

    def _remember(self, job_id: str, trace: str) -> None:
        if not trace:
            return
        self._traces.pop(job_id, None)
        self._traces[job_id] = trace
        if len(self._traces) > _MOST_REMEMBERED:
            del self._traces[next(iter(self._traces))]


#: Of a process that says nothing of single jobs.
UNSAID: Final = JobLog(per_s=0, clock=lambda: 0.0)


def _told(trace: str) -> dict[str, str]:
    return {"trace": trace} if trace else {}
