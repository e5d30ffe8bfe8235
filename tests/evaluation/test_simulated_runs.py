"""A simulation's outcome becomes figures, by hand."""

from __future__ import annotations

from typing import Any

import pytest

from northstar.evaluation.errors import NothingToMeasure
from northstar.evaluation.results import dollars_cut, hours_cut, paired, redundant_cut
from northstar.evaluation.run_figures import RunSummary, summary_of
from northstar.evaluation.simulated_runs import run_of
from northstar.simulation.inputs import Life, SimulatedMachine
from northstar.simulation.outcome import EarlierRun, FetchedApart, JobOutcome, Outcome, Span

GB = 1_000_000_000


def simulated(
    number: int,
    *,
    at_s: float = 0.0,
    taken_s: float = 0.0,
    began_s: float | None = 0.0,
    ended_s: float = 10.0,
    **facts: Any,
) -> JobOutcome:
    usual: dict[str, Any] = {"tenant": "t", "ending": "succeeded", "machine": "m1", "pool": "fast-lane"}
    times = {
        "submitted_ms": int(1_000 * at_s),
        "taken_ms": int(1_000 * taken_s),
        "began_ms": None if began_s is None else int(1_000 * began_s),
        "ended_ms": int(1_000 * ended_s),
        "left_ms": int(1_000 * ended_s),
    }
    return JobOutcome(number=number, **(usual | times | facts))


def outcome(*jobs: JobOutcome, **facts: Any) -> Outcome:
    usual: dict[str, Any] = {
        "policy": "north-star",
        "seed": 1,
        "submitted": len(jobs),
        "endings": {},
        "ended_ms": 100_000,
        "fetches": 3,
        "fetched_bytes": 3 * GB,
        "redundant": 1,
        "redundant_bytes": GB,
        "machines_lost": 0,
        "pools": {},
        "jobs": jobs,
    }
    return Outcome(**(usual | facts))


FLEET = (
    SimulatedMachine(id="m1", pools=("fast-lane",), services=("picture",), slots=2, price_usd_per_hour=3.6),
    SimulatedMachine(
        id="m2", pools=("fast-lane",), services=("picture",), lives=(Life(from_ms=50_000, until_ms=75_000),)
    ),
)


def test_jobs_machines_and_bytes_are_those_of_the_simulation() -> None:
    jobs = [
        simulated(1, taken_s=0, began_s=9, ended_s=29, is_cold=True, fetched_bytes=3 * GB, redundant_bytes=GB),
        simulated(2, at_s=10, taken_s=29, began_s=29, ended_s=49),  # waits 19 s
        simulated(3, at_s=90, began_s=None, ending="waiting", machine="", ended_s=0),
        simulated(4, at_s=91, began_s=None, ending="refused", machine="", ended_s=91),
        simulated(5, at_s=1, ending="failed", began_s=2, taken_s=2, ended_s=4),
    ]
    found = summary_of(run_of(outcome(*jobs), FLEET, failing={5}))
    assert (found.jobs, found.cold_starts, found.fetched_bytes, found.redundant_bytes) == (5, 1, 3 * GB, GB)
    # 9 s and 1 s of five: 19 s, and two that never begin, are not less than 10 s.
    assert found.figures["wait-10s"] == 0.4
    # Of the accepted ones whose work does not itself fail: two of three.
    assert found.figures["completion"] == pytest.approx(2 / 3)
    # m1 for 100 s and m2 for 25 s; m1's two slots for 29 + 20 + 2 s, which are 25.5 s of the machine.
    assert found.machine_hours == pytest.approx(125 / 3_600)
    assert found.figures["utilisation"] == pytest.approx(25.5 / 125)
    assert found.usd == pytest.approx(0.1)


def test_a_job_that_begins_at_the_beginning_waits_no_time() -> None:
    assert summary_of(run_of(outcome(simulated(1)), FLEET)).figures["wait-10s"] == 1.0


def test_a_job_that_failed_while_its_models_came_waited_for_ever() -> None:
    jobs = [simulated(1), simulated(2, at_s=5, began_s=None, ending="failed", ended_s=20)]
    asked: list[int] = []

    def never_asked_of_it(job: JobOutcome) -> tuple[str, tuple[str, ...]]:
        asked.append(job.number)
        return ("fast-lane", ())

    assert summary_of(run_of(outcome(*jobs), FLEET, optimal=never_asked_of_it)).figures["wait-10s"] == 0.5
    assert asked == [1]


def test_bytes_are_those_of_the_window_for_jobs_and_for_none() -> None:
    warm_up = simulated(1, at_s=0, fetched_bytes=40 * GB, redundant_bytes=20 * GB)
    counted = simulated(2, at_s=50, began_s=52, ended_s=60, fetched_bytes=2 * GB, redundant_bytes=GB)
    apart = (FetchedApart(0, 5 * GB, 2 * GB), FetchedApart(1, 3 * GB, GB))
    whole = outcome(warm_up, counted, fetched_bytes=50 * GB, redundant_bytes=24 * GB, apart=apart)
    found = summary_of(run_of(whole, FLEET, from_ms=50_000))
    assert (found.fetched_bytes, found.redundant_bytes) == (2 * GB, GB)
    assert (found.apart_bytes, found.apart_redundant_bytes) == (3 * GB, GB)


def test_a_machine_is_busy_until_it_is_done_with_a_job_or_the_simulation_is_over() -> None:
    still = simulated(1, ending="running", ended_s=0, left_ms=100_000)
    # Its run failed at 10 s; that it expired much later, while it waited, was no work.
    late = simulated(2, ending="expired", ended_s=90, left_ms=10_000)
    run = run_of(outcome(still, late), FLEET)
    assert [machine.busy_s for machine in run.machines] == [(100 + 10) / 2, 0.0]


def test_runs_that_were_lost_or_went_on_for_nothing_were_work_too() -> None:
    again = simulated(1, taken_s=30, began_s=30, ended_s=40, machine="m2", earlier=(EarlierRun("m1", 5_000, 20_000),))
    run = run_of(outcome(again, late=(EarlierRun("m1", 40_000, 55_000),)), FLEET, from_ms=10_000, until_ms=50_000)
    assert [machine.busy_s for machine in run.machines] == [(10 + 10) / 2, 10.0]


def test_a_machine_that_followed_its_queue_is_paid_for_while_it_was_there() -> None:
    follower = SimulatedMachine(id="m3", pools=("fast-lane",), services=("picture",), price_usd_per_hour=3.6, lives=())
    spans = (Span("m3", 0, 10_000), Span("m3", 60_000, 90_000))
    found = summary_of(run_of(outcome(simulated(1, machine="m3"), scaled=spans), (follower,)))
    assert found.machine_hours == pytest.approx(40 / 3_600)
    assert found.usd == pytest.approx(0.04)
    assert found.figures["utilisation"] == pytest.approx(10 / 40)


def test_pools_are_judged_by_what_the_work_really_took() -> None:
    def by_duration(job: JobOutcome) -> tuple[str, tuple[str, ...]]:
        return ("fast-lane", ()) if job.ran_s < 30 else ("standard", ("fast-lane",))

    jobs = [simulated(1, ran_s=20.0), simulated(2, ran_s=31.0)]
    figures = summary_of(run_of(outcome(*jobs), FLEET, optimal=by_duration)).figures
    assert (figures["optimal-pool-strict"], figures["optimal-pool-tolerant"]) == (0.5, 1.0)


def summary(policy: str, seed: int, **facts: Any) -> RunSummary:
    again = {"redundant_bytes": facts.get("redundant_bytes", GB)}
    return summary_of(run_of(outcome(simulated(1, **again), policy=policy, seed=seed, **facts), FLEET))


def test_two_policies_are_compared_seed_by_seed() -> None:
    runs = [
        summary("north-star", 2, redundant_bytes=5 * GB),
        summary("north-star", 1, redundant_bytes=GB),
        summary("uniform-lru", 1, redundant_bytes=50 * GB, ended_ms=200_000),
        summary("uniform-lru", 2, redundant_bytes=50 * GB),
    ]
    assert paired(runs, policy="north-star", against="uniform-lru", measure=redundant_cut) == pytest.approx((0.98, 0.9))
    # 125 s against 225 s; $0.1 against $0.2.
    assert paired(runs, policy="north-star", against="uniform-lru", measure=hours_cut) == pytest.approx((100 / 225, 0))
    assert paired(runs, policy="north-star", against="uniform-lru", measure=dollars_cut) == pytest.approx((0.5, 0))


def test_a_seed_that_only_one_of_them_ran_is_no_comparison() -> None:
    runs = [summary("north-star", 1), summary("uniform-lru", 2)]
    with pytest.raises(NothingToMeasure, match="north-star and uniform-lru were not run with the same seeds"):
        paired(runs, policy="north-star", against="uniform-lru", measure=redundant_cut)
