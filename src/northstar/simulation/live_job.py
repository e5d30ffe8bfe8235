"""A job of a simulation that has not ended: what was decided of it, and its runs on machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from northstar.simulation.outcome import EarlierRun, JobOutcome

if TYPE_CHECKING:
    from northstar.domain.decisions import RoutingDecision
    from northstar.simulation.inputs import SimulatedJob, SimulatedMachine
    from northstar.simulation.outcome import Ending
    from northstar.simulation.run import Run


class LiveJob:
    """Bounded by the attempts that its rule allows: it keeps each of its runs until it is told."""

    __slots__ = ("decision", "is_running", "job", "number", "pool", "runs", "submitted_ms")

    def __init__(self, job: SimulatedJob, number: int, *, submitted_ms: int) -> None:
        self.job = job
        self.number = number
        self.submitted_ms = submitted_ms
        self.decision: RoutingDecision | None = None
        self.pool = ""
        self.is_running = False
        #: In the order in which machines took it.
        self.runs: list[tuple[Run, SimulatedMachine]] = []

    def decided(self, decision: RoutingDecision | None) -> None:
        """The broker has taken it."""
        self.decision = decision
        self.pool = "" if decision is None else decision.pool

    @property
    def wanted_pool(self) -> str:
        """Where it is, or would be if somebody served it."""
        return self.pool or ("" if self.decision is None else self.decision.optimal)

    @property
    def is_dated(self) -> bool:
        """Whether it has a deadline."""
        request = self.job.request
        return bool(request.start_within_s or request.finish_within_s)

    @property
    def is_restless(self) -> bool:
        """Whether it may have to go elsewhere: nobody serves it, or it waits away from home."""
        decision = self.decision
        return decision is not None and (not decision.fit_machines or decision.optimal != self.pool)

    def is_latest(self, run: Run) -> bool:
        """Whether this is the run that the broker counts on; one before it goes on where nobody hears that it was given up."""
        return bool(self.runs) and self.runs[-1][0] is run

    def stands(self, machine: str) -> None:
        """The broker has taken the result of this machine: its run is the one that stands, whoever else has begun the job."""
        for at in range(len(self.runs) - 1, -1, -1):
            if self.runs[at][1].id == machine:
                self.runs.append(self.runs.pop(at))
                return

    def outcome(self, ending: Ending, *, ended_ms: int, code: str, now_ms: int) -> JobOutcome:
        """What is told of it. From now on, what its runs that still go on do is not its own any more."""
        of_decision: dict[str, Any] = {}
        if (decision := self.decision) is not None:
            expected_s = round(decision.estimate.p50_s, 3)
            of_decision = {"pool": self.pool, "optimal": decision.optimal, "expected_s": expected_s}
        of_run = self._of_runs(ending, now_ms=now_ms) if self.runs else {}
        return JobOutcome(
            number=self.number,
            tenant=self.job.request.tenant,
            ending=ending,
            submitted_ms=self.submitted_ms,
            ended_ms=ended_ms,
            claims=len(self.runs),
            code=code,
            **of_decision,
            **of_run,
        )

    def _of_runs(self, ending: Ending, *, now_ms: int) -> dict[str, Any]:
        for one, _ in self.runs:
            one.told_ms = now_ms
        (run, machine), earlier = self.runs[-1], self.runs[:-1]
        # One that waits again has not begun, whatever became of its runs before.
        began_ms = None if ending == "waiting" else run.began_by(now_ms)
        return {
            "taken_ms": run.taken_ms,
            "began_ms": began_ms,
            "left_ms": now_ms if run.left_ms is None else run.left_ms,
            "machine": machine.id,
            "gpu_class": machine.gpu_class,
            "fetched_bytes": sum(one.fetched_bytes for one, _ in self.runs),
            "redundant_bytes": sum(one.redundant_bytes for one, _ in self.runs),
            "is_cold": run.is_cold,
            "ran_s": 0.0 if began_ms is None else self.job.seconds_on(machine.gpu_class),
            "earlier": tuple(
                EarlierRun(at.id, one.taken_ms, now_ms if one.left_ms is None else one.left_ms) for one, at in earlier
            ),
        }
