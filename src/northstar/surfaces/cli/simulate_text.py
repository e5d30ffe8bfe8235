"""What simulations come to, for people: a table by policy and pool, and what the machines did and cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from typing import TYPE_CHECKING

from northstar.surfaces.cli.printing import console, print_aside, print_table

if TYPE_CHECKING:
    from northstar.simulation.scenario.progress import PoolSummary
    from northstar.simulation.scenario.results import RunResult
    from northstar.simulation.scenario.run_file import RunLine

_NONE = "-"


def show_results(about: str, lines: Sequence[RunLine]) -> None:
    """Print the tables. Of several seeds: the median, and the least and the most."""
    if about:
        console().print(about, markup=False)
    by_policy: dict[str, list[RunResult]] = {}
    for line in lines:
        by_policy.setdefault(line.policy, []).append(line.result)
    rows = [
        (policy, pool, *_pool_row([found for result in results for found in result.pools if found.pool == pool]))
        for policy, results in by_policy.items()
        for pool in _pools_of(results)
    ]
    print_table(("POLICY", "POOL", "JOBS", "OK", "< 10 S", "NEVER", "P50", "P95", "COLD", "GB"), rows)
    print_table(
        ("POLICY", "RUNS", "MACHINES", "LOST", "BUSY", "USD", "GB", "GB AGAIN", "FAULTS"),
        [(policy, len(results), *_fleet_row(results)) for policy, results in by_policy.items()],
    )
    for policy, results in by_policy.items():
        said = never_ended(results)
        if said:
            print_aside(f"{policy}: {said}")


def never_ended(results: Sequence[RunResult]) -> str:
    """What became of jobs that have no end of their own; empty: there are none."""
    words = {"waiting": "still waited", "running": "still ran", "refused": "were refused by the broker"}
    counts = {ending: sum(result.endings.get(ending, 0) for result in results) for ending in words}
    said = [f"{count:,} {words[ending]}" for ending, count in counts.items() if count]
    if not said:
        return ""
    jobs = sum(result.jobs for result in results)
    return f"of {jobs:,} jobs {' and '.join(said)} when nothing was left to happen: does any machine of the fleet serve their pool?"


def _pools_of(results: Sequence[RunResult]) -> list[str]:
    """Pools by name, and all of them together at the end, unless there is only one."""
    names = sorted({pool.pool for result in results for pool in result.pools} - {"all"})
    return names if len(names) == 1 else [*names, "all"]


def _pool_row(found: Sequence[PoolSummary]) -> tuple[str, ...]:
    return (
        spread([one.jobs for one in found], _count),
        spread([one.succeeded for one in found], _count),
        spread([one.soon for one in found], _share),
        spread([one.never for one in found], _count),
        spread([one.wait_p50_s for one in found], _seconds),
        spread([one.wait_p95_s for one in found], _seconds),
        spread([one.cold for one in found], _count),
        spread([one.fetched_gb for one in found], _gb),
    )


def _fleet_row(results: Sequence[RunResult]) -> tuple[str, ...]:
    faults = [result.faults for result in results]
    return (
        spread([result.machines for result in results], _count),
        spread([result.machines_lost for result in results], _count),
        spread([result.utilisation for result in results], _share),
        spread([result.cost_usd or None for result in results], _usd),
        spread([result.fetched_gb for result in results], _gb),
        spread([result.redundant_gb for result in results], _gb),
        spread([fault.befell for fault in faults], _count)
        + (f" ({sum(fault.missed for fault in faults):,} missed)" if any(fault.missed for fault in faults) else ""),
    )


def spread(values: Sequence[float | None], told: Callable[[float], str]) -> str:
    """The median, with the least and the most where they differ.

    >>> spread([3, 1, 2], str), spread([2, 2], str), spread([None], str)
    ('2 (1 to 3)', '2', '-')
    """
    known = sorted(value for value in values if value is not None)
    if not known:
        return _NONE
    least, most = told(known[0]), told(known[-1])
    return told(median(known)) if least == most else f"{told(median(known))} ({least} to {most})"


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _share(value: float) -> str:
    return f"{value:.1%}"


def _seconds(value: float) -> str:
    return f"{value:.1f} s"


def _gb(value: float) -> str:
    return f"{value:,.1f}"


def _usd(value: float) -> str:
    return f"{value:,.2f}"
