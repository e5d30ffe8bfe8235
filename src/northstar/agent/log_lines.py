"""What an agent says of itself in its log: one line for each thing that happens to it, however often it is tried."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from northstar.domain.errors import Unavailable
from northstar.domain.traces import trace_in
from northstar.telemetry import RationedLines, logger, say_on_every_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from northstar.domain.jobs import ClaimedJob
    from northstar.domain.machines import MachineProfile

log = logger(__name__)

#: The same trouble is told again after so long, with how often it was met meanwhile.
AGAIN_S: Final = 60.0
#: Letters of an error in a line.
_MOST_SAID: Final = 500


class ApprovalAwaited(Unavailable):
    """The machine has joined, and an operator has not approved it yet. That is no fault: it is asked again by itself."""

    code: ClassVar[str] = "NS_APPROVAL_AWAITED"

    def __init__(self, machine: str) -> None:
        super().__init__(f"machine {machine} waits for an operator: northstar machines approve {machine}")
        self.machine = machine


class LogLines:
    """One worker's news. `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float], *, jobs_per_s: int = 0) -> None:
        """`jobs_per_s` lines about single jobs are written in a second; 0: none."""
        self._clock = clock
        self._of_jobs = RationedLines(log, per_s=jobs_per_s, clock=clock)
        self._trouble = ""
        self._told_s = 0.0
        self._times = 0

    def ready(self, profile: MachineProfile, *, slots: int, still_held: int, offered: bool) -> None:
        """The broker knows the machine and gives it work from now on."""
        self._trouble = ""
        log.info(
            "machine_ready",
            services=list(profile.services) if offered else [],
            slots=slots,
            pools=list(profile.pools),
            still_held=still_held,
        )

    def trouble(self, error: Unavailable) -> None:
        """Nothing goes on at present; it is tried again."""
        again = error.code == self._trouble
        self._times = self._times + 1 if again else 1
        if again and self._clock() < self._told_s + AGAIN_S:
            return
        self._trouble, self._told_s = error.code, self._clock()
        if isinstance(error, ApprovalAwaited):
            log.info(
                "machine_waits_for_approval", to_do=f"northstar machines approve {error.machine}", times=self._times
            )
        else:
            log.warning("broker_unavailable", code=error.code, error=str(error), times=self._times)

    def over(self) -> None:
        """What was in the way is not any more."""
        if self._trouble:
            log.info("broker_answers_again", after=self._trouble, times=self._times)
        self._trouble = ""

    def begins(self, job: ClaimedJob) -> RunLines:
        """A run begins; whatever is logged in its task from now on, also by its connector, names the job and its trace."""
        trace = trace_in(job.body)
        say_on_every_line(job=job.id, **({"trace": trace} if trace else {}))
        self._of_jobs.info("job_begins", attempt=job.attempt, recoveries=job.recoveries)
        return RunLines(self._of_jobs, self._clock)

    def drains(self, jobs: int, *, up_to_s: float) -> None:
        """The machine takes no more work."""
        log.info("machine_drains", jobs=jobs, up_to_s=up_to_s)

    def left(self, *, handed_back: int) -> None:
        """The machine is no more; `handed_back` of its jobs go on elsewhere, uncharged."""
        log.info("machine_left", jobs_handed_back=handed_back)


class RunLines:
    """What is said of one run, which begins now. What the broker makes of its end is the broker's to say."""

    def __init__(self, lines: RationedLines, clock: Callable[[], float]) -> None:
        self._lines = lines
        self._clock = clock
        self._began_s = clock()

    def done(self) -> None:
        """The work is done."""
        self._lines.info("job_done", took_s=self._took_s)

    def failed(self, code: str, message: str, *, retryable: bool) -> None:
        """The work failed."""
        self._lines.info("job_failed", code=code, error=message[:_MOST_SAID], retryable=retryable, took_s=self._took_s)

    def stopped(self) -> None:
        """The run was stopped: its job was canceled, its lease lost, or the machine goes."""
        self._lines.info("job_stopped", took_s=self._took_s)

    @property
    def _took_s(self) -> float:
        return round(self._clock() - self._began_s, 3)
