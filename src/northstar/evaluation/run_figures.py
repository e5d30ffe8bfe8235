"""A run in numbers: the figures that follow from any run, and what its plots are drawn from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from northstar.evaluation.errors import NothingToMeasure
from northstar.evaluation.measures import (
    Ended,
    Fetched,
    Ran,
    completion,
    optimal_pool,
    percentile,
    redundant,
    share_below,
    utilisation,
)
from northstar.evaluation.outcomes import FetchTotals

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from northstar.evaluation.outcomes import FetchOutcome, JobOutcome, MachineOutcome, RunOutcome

#: Shares of jobs at which a curve of waits has its points.
CURVE_AT: Final = (0.01, 0.05, *(round(tenth / 20, 2) for tenth in range(2, 20)), 0.97, 0.98, 0.99, 0.995, 0.999, 1.0)
#: What stands for a time that never ended, seconds: JSON has no infinity, and such a figure must not look as if it were not measured.
NEVER_S: Final = 1e9
#: Points of a curve over time.
MOST_POINTS: Final = 400


class PoolWaits(msgspec.Struct, frozen=True, kw_only=True):
    """How long the jobs of a pool waited that were not cancelled: the wait (s) that each share of CURVE_AT does not exceed; null: for ever."""

    pool: str
    jobs: int
    below_10_s: float
    curve_s: tuple[float | None, ...]
    cold_starts: int


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A run, small enough to be kept beside a scorecard."""

    policy: str
    seed: int
    jobs: int
    pools: tuple[PoolWaits, ...]
    cold_starts: int
    fetched_bytes: int
    redundant_bytes: int
    #: Beside these, of a simulation: for no job of it (`FetchTotals`).
    apart_bytes: int = 0
    apart_redundant_bytes: int = 0
    baked_bytes: int
    machine_hours: float
    usd: float
    #: (hours since the window began, machines that are paid for).
    machines_on: tuple[tuple[float, float], ...]
    #: Figure -> value, of those that a run by itself has.
    figures: dict[str, float]
    #: What is told beside figures, and judged by no target.
    beside: dict[str, float] = {}
    #: Of the agreed scenario that was run; empty: of another one.
    scenario: str = ""

    @property
    def label(self) -> str:
        """Whose it is, in plots."""
        return f"{self.scenario}, {self.policy}" if self.scenario else self.policy


def summary_of(run: RunOutcome) -> RunSummary:
    """The numbers of a run, within its window. Raises NothingToMeasure: no job came within it."""
    jobs = [job for job in run.jobs if run.from_ms <= job.at_ms < run.until_ms]
    if not jobs:
        raise NothingToMeasure(f"no job of {run.policy} with seed {run.seed} came within the window")
    before = {one.name for one in run.fetches if one.at_ms < run.from_ms}
    inside = [one for one in run.fetches if run.from_ms <= one.at_ms < run.until_ms]
    books = run.fetched or _totals(inside, known=before)
    by_pool: dict[str, list[JobOutcome]] = {}
    for job in _awaited(jobs):
        by_pool.setdefault(job.pool, []).append(job)
    return RunSummary(
        policy=run.policy,
        seed=run.seed,
        jobs=len(jobs),
        pools=tuple(_waits(pool, by_pool[pool]) for pool in sorted(by_pool)),
        cold_starts=sum(job.was_cold for job in jobs),
        fetched_bytes=books.fetched_bytes,
        redundant_bytes=books.redundant_bytes,
        apart_bytes=books.apart_bytes,
        apart_redundant_bytes=books.apart_redundant_bytes,
        baked_bytes=sum(one.size_bytes for one in inside if one.baked),
        machine_hours=sum(_paid_s(machine, run) for machine in run.machines) / 3_600,
        usd=sum(_paid_s(machine, run) / 3_600 * machine.price_usd_per_hour for machine in run.machines),
        machines_on=_machines_on(run),
        figures=_figures(jobs, run),
    )


def _figures(jobs: Sequence[JobOutcome], run: RunOutcome) -> dict[str, float]:
    found: dict[str, float] = {}
    told = _awaited(jobs)
    if told:
        found["wait-10s"] = share_below([job.wait_s for job in told], 10.0)
    for figure, pool, share in (
        ("lightning-p95", "lightning", 0.95),
        ("fast-lane-p95", "fast-lane", 0.95),
        ("standard-p90", "standard", 0.90),
        ("response-p90", "", 0.90),
    ):
        some = [job.response_s for job in told if not pool or job.pool == pool]
        if some:
            found[figure] = percentile(some, share)
    overheads = [job.response_s - (job.run_s or 0.0) for job in told]
    if overheads:
        found["overhead-p90"] = percentile(overheads, 0.90)
    judged = [Ran(job.pool, job.optimal_pool, frozenset(job.tolerated_pools)) for job in jobs if job.optimal_pool]
    if judged:
        found["optimal-pool-strict"], found["optimal-pool-tolerant"] = optimal_pool(judged)
    ends = [
        Ended(job.ended == "succeeded", job.ended == "canceled", job.fails_itself)
        for job in jobs
        if job.ended != "refused"
    ]
    if any(not end.cancelled and not end.failed_itself for end in ends):
        found["completion"] = completion(ends)
    paid = _by_pool((machine.pool, _paid_s(machine, run)) for machine in run.machines)
    if any(seconds > 0 for seconds in paid.values()):
        busy = _by_pool((machine.pool, machine.busy_s) for machine in run.machines)
        found["utilisation"], found["utilisation-lowest"] = utilisation(busy, paid)
    return {figure: min(value, NEVER_S) for figure, value in found.items()}


def _awaited(jobs: Iterable[JobOutcome]) -> list[JobOutcome]:
    """Those that were cancelled had neither a beginning nor a result to wait for; one that never began waited for ever."""
    return [job for job in jobs if job.ended != "canceled"]


def _totals(fetches: Iterable[FetchOutcome], *, known: Collection[str]) -> FetchTotals:
    """Of single fetches, whoever they were for."""
    found = redundant((Fetched(one.name, one.size_bytes) for one in fetches if not one.baked), known=known)
    return FetchTotals(fetched_bytes=found.fetched_bytes, redundant_bytes=found.redundant_bytes)


def _waits(pool: str, jobs: Sequence[JobOutcome]) -> PoolWaits:
    waits = sorted(job.wait_s for job in jobs)
    points = (percentile(waits, share) for share in CURVE_AT)
    return PoolWaits(
        pool=pool,
        jobs=len(jobs),
        below_10_s=share_below(waits, 10.0),
        curve_s=tuple(None if point == float("inf") else point for point in points),
        cold_starts=sum(job.was_cold for job in jobs),
    )


def _paid_s(machine: MachineOutcome, run: RunOutcome) -> float:
    return sum(_inside(span, run) for span in machine.paid_ms) / 1_000


def _inside(span: tuple[int, int], run: RunOutcome) -> int:
    return max(0, min(span[1], run.until_ms) - max(span[0], run.from_ms))


def _machines_on(run: RunOutcome) -> tuple[tuple[float, float], ...]:
    """The mean number of machines in each of at most 400 equal parts of the window."""
    length = run.until_ms - run.from_ms
    parts = min(MOST_POINTS, max(1, length // 60_000))
    paid = [0.0] * parts
    for machine in run.machines:
        for begin, until in machine.paid_ms:
            first, last = max(0, begin - run.from_ms), min(length, until - run.from_ms)
            for part in range(first * parts // length, min(parts - 1, last * parts // length) + 1):
                low, high = part * length / parts, (part + 1) * length / parts
                paid[part] += max(0.0, min(last, high) - max(first, low))
    return tuple(
        (round((part + 0.5) * length / parts / 3_600_000, 4), round(on * parts / length, 3))
        for part, on in enumerate(paid)
    )


def _by_pool(amounts: Iterable[tuple[str, float]]) -> dict[str, float]:
    found: dict[str, float] = {}
    for pool, amount in amounts:
        found[pool] = found.get(pool, 0.0) + amount
    return found
