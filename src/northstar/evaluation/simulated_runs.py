"""A simulation's outcome as a run that is measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from northstar.evaluation.outcomes import FetchTotals, JobOutcome, MachineOutcome, RunOutcome
from northstar.simulation.outcome import EarlierRun

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from northstar.evaluation.outcomes import JobEnd
    from northstar.simulation.inputs import SimulatedMachine
    from northstar.simulation.outcome import Ending, Outcome, Span
    from northstar.simulation.outcome import JobOutcome as SimulatedOutcome

_MINUTE_MS: Final = 60_000
_ENDS: Final[dict[Ending, JobEnd]] = {
    "succeeded": "succeeded",
    "failed": "failed",
    "expired": "expired",
    "canceled": "canceled",
    "waiting": "unfinished",
    "running": "unfinished",
    "refused": "refused",
}


def run_of(
    outcome: Outcome,
    fleet: Sequence[SimulatedMachine],
    *,
    from_ms: int = 0,
    until_ms: int | None = None,
    failing: Collection[int] = (),
    optimal: Callable[[SimulatedOutcome], tuple[str, tuple[str, ...]]] | None = None,
) -> RunOutcome:
    """What is measured of a simulation whose jobs are part of its outcome.

    Args:
        outcome: what came of it.
        fleet: its machines, with their lives.
        from_ms: where the window begins that is measured.
        until_ms: where it ends; None: with the simulation.
        failing: numbers of the jobs whose work fails however often it is tried.
        optimal: of a job that ran, the pool that the matrix gives for what it really took, and those within the tolerance; None: not judged.
    """
    end_ms = outcome.ended_ms if until_ms is None else until_ms
    scaled: dict[str, list[Span]] = {}
    for span in outcome.scaled:
        scaled.setdefault(span.machine, []).append(span)
    busy = _busy_s(outcome, fleet, from_ms, end_ms)
    return RunOutcome(
        policy=outcome.policy,
        seed=outcome.seed,
        from_ms=from_ms,
        until_ms=end_ms,
        jobs=tuple(_job(job, failing, optimal) for job in outcome.jobs),
        fetched=_fetched(outcome, from_ms, end_ms),
        machines=tuple(
            MachineOutcome(
                id=machine.id,
                pool="+".join(machine.pools),
                paid_ms=tuple(_paid_ms(machine, outcome.ended_ms, scaled.get(machine.id, ()))),
                busy_s=busy.get(machine.id, 0.0),
                price_usd_per_hour=machine.price_usd_per_hour,
            )
            for machine in fleet
        ),
    )


def _paid_ms(machine: SimulatedMachine, ended_ms: int, scaled: Iterable[Span]) -> Iterator[tuple[int, int]]:
    """By its lives, or as it followed its queue."""
    for life in machine.lives:
        if life.from_ms < ended_ms:
            yield life.from_ms, ended_ms if life.until_ms is None else life.until_ms
    for span in scaled:
        yield span.from_ms, span.until_ms


def _job(
    job: SimulatedOutcome,
    failing: Collection[int],
    optimal: Callable[[SimulatedOutcome], tuple[str, tuple[str, ...]]] | None,
) -> JobOutcome:
    has_ended = job.ending not in {"waiting", "running"}
    judged = optimal(job) if optimal is not None and job.began_ms is not None else ("", ())
    return JobOutcome(
        pool=job.pool,
        at_ms=job.submitted_ms,
        began_ms=job.began_ms,
        ended_ms=job.ended_ms if has_ended else None,
        ended=_ENDS[job.ending],
        was_cold=job.is_cold,
        fails_itself=job.number in failing,
        optimal_pool=judged[0],
        tolerated_pools=judged[1],
    )


def _fetched(outcome: Outcome, from_ms: int, until_ms: int) -> FetchTotals:
    """What came for the jobs of the window, and beside it what came for no job within the window.

    The latter is known by minutes: one that begins within the window counts whole.
    """
    inside = [job for job in outcome.jobs if from_ms <= job.submitted_ms < until_ms]
    apart = [one for one in outcome.apart if from_ms <= one.minute * _MINUTE_MS < until_ms]
    return FetchTotals(
        fetched_bytes=sum(job.fetched_bytes for job in inside),
        redundant_bytes=sum(job.redundant_bytes for job in inside),
        apart_bytes=sum(one.fetched_bytes for one in apart),
        apart_redundant_bytes=sum(one.redundant_bytes for one in apart),
    )


def _busy_s(outcome: Outcome, fleet: Sequence[SimulatedMachine], from_ms: int, until_ms: int) -> dict[str, float]:
    """Machine -> seconds of its slots, in parts of the machine, with runs within the window; fetch and load are work too.

    Runs count whatever became of them: the one that stood, those before it that were lost or failed, and what one went on to do when its
    job had ended elsewhere. One that was still going on when the simulation ended counts until then.
    """
    slots = {machine.id: machine.slots for machine in fleet}
    found: dict[str, float] = {}
    for run in _runs(outcome):
        inside = max(0, min(run.left_ms, until_ms) - max(run.taken_ms, from_ms))
        found[run.machine] = found.get(run.machine, 0.0) + inside / 1_000 / slots[run.machine]
    return found


def _runs(outcome: Outcome) -> Iterator[EarlierRun]:
    for job in outcome.jobs:
        if job.machine:
            yield EarlierRun(job.machine, job.taken_ms, job.left_ms)
        yield from job.earlier
    yield from outcome.late
