"""Every job of a simulation from its submit to its end, and what its fleet has done meanwhile.

How a job ended is read from the cell's own events, in their order, as the history does; what a run took is the machine's word.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from northstar.domain.estimates import FinishedRun
from northstar.simulation.clock import BEGINNING_MS
from northstar.simulation.fleet_use import FleetUse
from northstar.simulation.live_job import LiveJob
from northstar.store.history.attempts import main_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from northstar.domain.decisions import RoutingDecision
    from northstar.domain.events import Event
    from northstar.domain.models import ModelNeed
    from northstar.simulation.finished_runs import RunsSeen
    from northstar.simulation.inputs import SimulatedJob, SimulatedMachine
    from northstar.simulation.outcome import Ending, JobOutcome
    from northstar.simulation.run import Run
    from northstar.simulation.world import World

_ENDINGS: Final[dict[str, Ending]] = {
    "job.succeeded": "succeeded",
    "job.failed": "failed",
    "job.expired": "expired",
    "job.canceled": "canceled",
}


class Ledger:
    """Of one run. Whoever `hears` is told of each job as it ends, in order; what is known of it is forgotten then."""

    def __init__(self, world: World, runs: RunsSeen, hears: Callable[[JobOutcome], None]) -> None:
        self._world = world
        self._runs = runs
        self._hears = hears
        self._live: dict[str, LiveJob] = {}
        self._running = 0
        #: Waiting and running jobs that may have to go elsewhere, and those with a deadline.
        self.restless = 0
        self.dated = 0
        #: Whether runs have ended that nobody has learned from.
        self.has_run = False
        self.submitted = 0
        self.endings: Counter[str] = Counter()
        self.use = FleetUse()
        #: Runs that go on though their job was told.
        self._late: dict[Run, SimulatedMachine] = {}

    # Jobs -------------------------------------------------------------------------------------------------------------

    @property
    def live(self) -> int:
        """Jobs that have not ended."""
        return len(self._live)

    @property
    def waiting(self) -> int:
        """Those of them that no machine has."""
        return len(self._live) - self._running

    def jobs(self) -> Iterable[LiveJob]:
        """They themselves, in the order of submit."""
        return self._live.values()

    def submits(self, job_id: str, job: SimulatedJob) -> None:
        """A job is brought to the broker, which may hand it to a machine at once."""
        self.submitted += 1
        live = self._live[job_id] = LiveJob(job, self.submitted, submitted_ms=self._world.clock.now_ms)
        self.dated += live.is_dated

    def accepted(self, job_id: str, decision: RoutingDecision | None) -> None:
        """The broker has taken it."""
        live = self._live[job_id]
        self.restless -= live.is_restless
        live.decided(decision)
        self.restless += live.is_restless

    def refused(self, job_id: str, code: str) -> None:
        """The broker did not take it."""
        self._end(job_id, "refused", ended_ms=self._world.clock.now_ms, code=code)

    def job(self, job_id: str) -> SimulatedJob:
        """What the job really is."""
        return self._live[job_id].job

    def taken(self, run: Run, machine: SimulatedMachine) -> None:
        """A machine has begun a run of it."""
        live = self._live[run.job.id]
        live.runs.append((run, machine))
        self._runs_now(live, is_running=True)

    def ran(self, run: Run, machine: SimulatedMachine) -> None:
        """Its work is done."""
        self._ended_here(run, machine)
        self.has_run = True

    def failed(self, run: Run, machine: SimulatedMachine, code: str) -> None:  # noqa: ARG002 -- the event names it
        """A run of it failed."""
        self._ended_here(run, machine)
        self._waits_again(run)

    def stopped(self, run: Run, machine: SimulatedMachine) -> None:
        """A run of it ended for nothing."""
        self._ended_here(run, machine)
        self._waits_again(run)

    def _runs_now(self, live: LiveJob, *, is_running: bool) -> None:
        self._running += is_running - live.is_running
        live.is_running = is_running

    def _waits_again(self, run: Run) -> None:
        """Unless another machine has it by now: a late word of one that was cut off changes nothing about that."""
        live = self._live.get(run.job.id)
        if live is not None and live.is_latest(run):
            self._runs_now(live, is_running=False)

    def _ended_here(self, run: Run, machine: SimulatedMachine) -> None:
        now_ms = self._world.clock.now_ms
        self.use.ran(run, machine, until_ms=now_ms)
        if self._late.pop(run, None) is not None:
            self.use.ran_on(run, machine, until_ms=now_ms)

    # Events -----------------------------------------------------------------------------------------------------------

    def hear(self, event: Event) -> None:
        """An event of the cell, each once and in order."""
        live = self._live.get(event.subject)
        if live is None:
            return
        if event.kind == "job.rerouted":
            self.restless -= live.is_restless
            live.pool = str(event.data["to"])
            self.restless += live.is_restless
        elif event.kind in _ENDINGS:
            if event.kind == "job.succeeded":
                live.stands(str(event.data.get("machine") or ""))
            self._learn(event, live)
            code = str(event.data.get("code") or "")
            self._end(event.subject, _ENDINGS[event.kind], ended_ms=event.at_ms - BEGINNING_MS, code=code)

    def _learn(self, event: Event, live: LiveJob) -> None:
        """A run that succeeded and was measured, as `store.history.attempt_reader` gives it to the estimator."""
        if event.kind != "job.succeeded" or not live.runs or live.decision is None:
            return
        run, machine = live.runs[-1]
        request, decision = live.job.request, live.decision
        self._runs.add(
            FinishedRun(
                shape=decision.shape,
                service=request.service,
                model=_main_model(run.needs),
                user=f"{request.tenant}/{request.user}" if request.user else "",
                gpu_class=machine.gpu_class,
                ran_s=live.job.seconds_on(machine.gpu_class),
                work=decision.work,
                finished_ms=event.at_ms,
                machine=machine.id,
                tenant=request.tenant,
                held_s=max(0, event.at_ms - int(event.data.get("started_ms") or event.at_ms)) / 1000,
            )
        )

    def _end(self, job_id: str, ending: Ending, *, ended_ms: int, code: str = "") -> None:
        live = self._live.pop(job_id)
        self._runs_now(live, is_running=False)
        self.restless -= live.is_restless
        self.dated -= live.is_dated
        self.endings[ending] += 1
        self._late.update((run, machine) for run, machine in live.runs if not run.is_over)
        self._hears(live.outcome(ending, ended_ms=ended_ms, code=code, now_ms=self._world.clock.now_ms))

    def close(self) -> None:
        """The simulation is over: what has not ended is told as it stands, in the order of submit."""
        for job_id, live in list(self._live.items()):
            self._end(job_id, "running" if live.is_running else "waiting", ended_ms=0)
        for run, machine in list(self._late.items()):
            self._ended_here(run, machine)


def _main_model(needs: Iterable[ModelNeed]) -> str:
    """As the history has them: the largest first."""
    return main_model(sorted(needs, key=lambda need: (-need.size_bytes, need.name)))
