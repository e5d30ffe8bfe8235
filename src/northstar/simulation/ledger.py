"""Every job of a simulation from its submit to its end, and what its fleet has done meanwhile.

How a job ended is read from the cell's own events, in their order, as the history does; what a run took is the machine's word.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from northstar.domain.estimates import FinishedRun
from northstar.simulation.clock import BEGINNING_MS
from northstar.simulation.outcome import JobOutcome, PoolUse
from northstar.store.history.attempts import main_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from northstar.domain.decisions import RoutingDecision
    from northstar.domain.events import Event
    from northstar.domain.models import ModelNeed
    from northstar.simulation.finished_runs import RunsSeen
    from northstar.simulation.inputs import SimulatedJob, SimulatedMachine
    from northstar.simulation.outcome import Ending
    from northstar.simulation.run import Run
    from northstar.simulation.world import World

_ENDINGS: Final[dict[str, Ending]] = {
    "job.succeeded": "succeeded",
    "job.failed": "failed",
    "job.expired": "expired",
    "job.canceled": "canceled",
}


class _Live:
    """A job that has not ended."""

    __slots__ = (
        "decision",
        "fetched_bytes",
        "is_running",
        "job",
        "number",
        "pool",
        "redundant_bytes",
        "run",
        "submitted_ms",
        "taken",
    )

    def __init__(self, job: SimulatedJob, number: int, *, submitted_ms: int, decision: RoutingDecision | None) -> None:
        self.job = job
        self.number = number
        self.submitted_ms = submitted_ms
        self.decision = decision
        self.pool = "" if decision is None else decision.pool
        self.taken = 0
        self.is_running = False
        #: Its latest run, and where; and what came for those before it.
        self.run: tuple[Run, SimulatedMachine] | None = None
        self.fetched_bytes = 0
        self.redundant_bytes = 0

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


class Ledger:
    """Of one run. Whoever `hears` is told of each job as it ends, in order; what is known of it is forgotten then."""

    def __init__(self, world: World, runs: RunsSeen, hears: Callable[[JobOutcome], None]) -> None:
        self._world = world
        self._runs = runs
        self._hears = hears
        self._live: dict[str, _Live] = {}
        self._running = 0
        #: Waiting and running jobs that may have to go elsewhere, and those with a deadline.
        self.restless = 0
        self.dated = 0
        #: Whether runs have ended that nobody has learned from.
        self.has_run = False
        self.submitted = 0
        self.endings: Counter[str] = Counter()
        self._busy_ms: dict[str, float] = {}
        self._paid_ms: dict[str, float] = {}
        self._cost_usd: dict[str, float] = {}

    # Jobs -------------------------------------------------------------------------------------------------------------

    @property
    def live(self) -> int:
        """Jobs that have not ended."""
        return len(self._live)

    @property
    def waiting(self) -> int:
        """Those of them that no machine has."""
        return len(self._live) - self._running

    def submits(self, job_id: str, job: SimulatedJob) -> None:
        """A job is brought to the broker, which may hand it to a machine at once."""
        self.submitted += 1
        live = self._live[job_id] = _Live(job, self.submitted, submitted_ms=self._world.clock.now_ms, decision=None)
        self.dated += live.is_dated

    def accepted(self, job_id: str, decision: RoutingDecision | None) -> None:
        """The broker has taken it."""
        live = self._live[job_id]
        self.restless -= live.is_restless
        live.decision = decision
        live.pool = "" if decision is None else decision.pool
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
        if live.run is not None:
            before, _ = live.run
            live.fetched_bytes += before.fetched_bytes
            live.redundant_bytes += before.redundant_bytes
        live.run = (run, machine)
        live.taken += 1
        self._runs_now(live, is_running=True)

    def ran(self, run: Run, machine: SimulatedMachine) -> None:
        """Its work is done."""
        self._ended_here(run, machine)
        self.has_run = True

    def failed(self, run: Run, machine: SimulatedMachine, code: str) -> None:  # noqa: ARG002 -- the event names it
        """A run of it failed."""
        self._ended_here(run, machine)
        if (live := self._live.get(run.job.id)) is not None:
            self._runs_now(live, is_running=False)

    def stopped(self, run: Run, machine: SimulatedMachine) -> None:
        """A run of it ended for nothing."""
        self._ended_here(run, machine)
        if (live := self._live.get(run.job.id)) is not None:
            self._runs_now(live, is_running=False)

    def _runs_now(self, live: _Live, *, is_running: bool) -> None:
        self._running += is_running - live.is_running
        live.is_running = is_running

    def _ended_here(self, run: Run, machine: SimulatedMachine) -> None:
        part_ms = (self._world.clock.now_ms - run.taken_ms) / len(machine.pools)
        for pool in machine.pools:
            self._busy_ms[pool] = self._busy_ms.get(pool, 0.0) + part_ms

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
            self._learn(event, live)
            code = str(event.data.get("code") or "")
            self._end(event.subject, _ENDINGS[event.kind], ended_ms=event.at_ms - BEGINNING_MS, code=code)

    def _learn(self, event: Event, live: _Live) -> None:
        """A run that succeeded and was measured, as `store.history.attempt_reader` gives it to the estimator."""
        if event.kind != "job.succeeded" or live.run is None or live.decision is None:
            return
        run, machine = live.run
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
        self._hears(_outcome(live, ending, ended_ms=ended_ms, code=code, now_ms=self._world.clock.now_ms))

    def close(self) -> None:
        """The simulation is over: what has not ended is told as it stands, in the order of submit."""
        for job_id, live in list(self._live.items()):
            if live.run is not None and not live.run[0].is_over:
                self._ended_here(*live.run)
            self._end(job_id, "running" if live.is_running else "waiting", ended_ms=0)

    # Money and time ---------------------------------------------------------------------------------------------------

    def paid(self, machine: SimulatedMachine, *, for_ms: int) -> None:
        """A machine was there for so long."""
        for pool in machine.pools:
            part_ms = for_ms / len(machine.pools)
            self._paid_ms[pool] = self._paid_ms.get(pool, 0.0) + part_ms * machine.slots
            cost = part_ms / 3_600_000 * machine.price_usd_per_hour
            self._cost_usd[pool] = self._cost_usd.get(pool, 0.0) + cost

    def pools(self) -> dict[str, PoolUse]:
        """What was paid for, and used."""
        return {
            pool: PoolUse(
                busy_s=round(self._busy_ms.get(pool, 0.0) / 1000, 3),
                paid_s=round(self._paid_ms[pool] / 1000, 3),
                cost_usd=round(self._cost_usd.get(pool, 0.0), 6),
            )
            for pool in sorted(self._paid_ms)
        }


def _main_model(needs: Iterable[ModelNeed]) -> str:
    """As the history has them: the largest first."""
    return main_model(sorted(needs, key=lambda need: (-need.size_bytes, need.name)))


def _outcome(live: _Live, ending: Ending, *, ended_ms: int, code: str, now_ms: int) -> JobOutcome:
    decision = live.decision
    of_decision: dict[str, Any] = {}
    if decision is not None:
        of_decision = {"pool": live.pool, "optimal": decision.optimal, "expected_s": round(decision.estimate.p50_s, 3)}
    of_run: dict[str, Any] = {}
    if live.run is not None:
        run, machine = live.run
        # One that waits again has not begun, whatever became of its runs before.
        began_ms = None if ending == "waiting" else run.began_by(now_ms)
        of_run = {
            "taken_ms": run.taken_ms,
            "began_ms": began_ms,
            "left_ms": now_ms if run.left_ms is None else run.left_ms,
            "machine": machine.id,
            "gpu_class": machine.gpu_class,
            "fetched_bytes": live.fetched_bytes + run.fetched_bytes,
            "redundant_bytes": live.redundant_bytes + run.redundant_bytes,
            "is_cold": run.is_cold,
            "ran_s": 0.0 if began_ms is None else live.job.seconds_on(machine.gpu_class),
        }
    return JobOutcome(
        number=live.number,
        tenant=live.job.request.tenant,
        ending=ending,
        submitted_ms=live.submitted_ms,
        ended_ms=ended_ms,
        claims=live.taken,
        code=code,
        **of_decision,
        **of_run,
    )
