"""What is judged of a run beyond its jobs' times: a second look at the workload, beside what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from northstar.domain.pools import UNIFORM
from northstar.evaluation.measures import percentile, share_of
from northstar.evaluation.prediction_measures import wape, within

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from northstar.evaluation.run_watch import Admitted
    from northstar.evaluation.true_pools import TruePools
    from northstar.simulation.inputs import SimulatedJob, SimulatedMachine
    from northstar.simulation.outcome import JobOutcome, Outcome

#: Within which a missing model should have been fetched: our allowance, the specification names none.
FETCH_ALLOWANCE_S = 60.0


class Judged(NamedTuple):
    """A job of the window, with what nobody knew before it ran."""

    outcome: JobOutcome
    fails: bool
    #: The pool for what it really took, and those within the tolerance; empty where it never ran, or pools were off.
    optimal: str
    tolerated: tuple[str, ...]
    #: Whether every anchor model of it lies in the image of some machine.
    is_baked: bool
    admitted: Admitted | None

    @property
    def counts(self) -> bool:
        """Whether it should have succeeded."""
        return self.outcome.ending not in {"canceled", "refused"} and not self.fails


def judged(
    outcome: Outcome,
    jobs: Iterable[SimulatedJob],
    fleet: Iterable[SimulatedMachine],
    *,
    from_ms: int,
    until_ms: int,
    pools: TruePools | None,
    admitted: Mapping[int, Admitted],
) -> dict[int, Judged]:
    """The jobs of the window by their numbers. `jobs` is the workload anew; `pools` is None where the policy knows none."""
    ends = {one.number: one for one in outcome.jobs}
    baked = {file.name for machine in fleet for file in machine.disk if file.baked}
    found: dict[int, Judged] = {}
    for number, job in enumerate(jobs, start=1):
        end = ends.get(number)
        if end is None or not from_ms <= end.submitted_ms < until_ms:
            continue
        optimal, tolerated = "", tuple[str, ...]()
        if pools is not None and end.began_ms is not None and end.pool != UNIFORM:
            optimal, tolerated = pools.of(job, number=number)
        anchors = {need.name for need in job.request.requires.models if need.is_anchor}
        found[number] = Judged(end, job.fails, optimal, tolerated, anchors <= baked, admitted.get(number))
    return found


def figures_of(jobs: Mapping[int, Judged]) -> dict[str, float]:
    """Figures of targets that follow from them; one of nothing is left out."""
    told = list(jobs.values())
    lacked = [one for one in told if one.counts and one.admitted is not None and one.admitted.lacked_its_pool]
    ran = [(one.outcome.expected_s, one.outcome.ran_s) for one in told if one.outcome.ending == "succeeded"]
    found = {
        "cross-pool-fallback": _share([one.outcome.ending == "succeeded" for one in lacked]),
        "availability-baked": _share(_held(told, baked=True)),
        "availability-dynamic": _share(_held(told, baked=False)),
        "lost-jobs": float(sum(one.outcome.ending in {"waiting", "running"} for one in told)),
    }
    if sum(seconds for _, seconds in ran) > 0:
        found["duration-wape"] = wape(ran)
        found["duration-within-25"] = within(ran, 0.25)
    return {figure: value for figure, value in found.items() if value is not None}


def beside_of(jobs: Mapping[int, Judged]) -> dict[str, float]:
    """What is told beside figures."""
    told = list(jobs.values())
    lacked = [one for one in told if one.counts and one.admitted is not None and one.admitted.lacked_its_pool]
    missing = [one for one in told if one.admitted is not None and not one.admitted.is_held and not one.is_baked]
    ran = [one.outcome.ran_s for one in told if one.outcome.ending == "succeeded"]
    found = {
        "fallback-jobs": float(len(lacked)),
        "fallback-elsewhere": _share(
            [one.outcome.ending == "succeeded" and one.outcome.pool != one.outcome.optimal for one in lacked]
        ),
        "fetched-soon": _share([_came_soon(one) for one in missing]),
        "gpu-p90": percentile(ran, 0.90) if ran else None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _held(jobs: Iterable[Judged], *, baked: bool) -> list[bool]:
    return [one.admitted.is_held for one in jobs if one.admitted is not None and one.is_baked == baked]


def _came_soon(one: Judged) -> bool:
    """Whether it could begin within the allowance, its place in the queue included, so that this is too low rather than too high."""
    return one.outcome.waited_s <= FETCH_ALLOWANCE_S


def _share(truths: list[bool]) -> float | None:
    return share_of(sum(truths), len(truths), "nothing") if truths else None
