"""What the gate looks at in a run: figures by name, each with the side on which it is worse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from northstar.evaluation.run_figures import CURVE_AT, NEVER_S

if TYPE_CHECKING:
    from northstar.evaluation.run_figures import PoolWaits, RunSummary
    from northstar.evaluation.targets import Unit

#: more, less: which change is for the worse · other: any is a sign that something else happens than did.
Worse = Literal["more", "less", "other"]
#: A pool with fewer jobs than this says more about chance than about routing.
FEWEST_JOBS: Final = 30
_GB: Final = 1e9


class GateFigure(NamedTuple):
    """A figure: what it is, and which side is the bad one."""

    what: str
    unit: Unit
    worse: Worse


#: Of every run. Waits are from submit to the beginning of the work; where a target has the name, it is that figure.
GATE_FIGURES: Final[dict[str, GateFigure]] = {
    "jobs": GateFigure("jobs that came and of which the end was told", "n", "other"),
    "lost-jobs": GateFigure(
        "jobs that never ended: still waiting or running when nothing was left to happen", "n", "more"
    ),
    "completion": GateFigure("succeeded, of the jobs whose work does not itself fail", "share", "less"),
    "wait-10s": GateFigure("waited less than 10 s", "share", "less"),
    "overhead-p90": GateFigure("time beside the work that 90 % did not exceed", "s", "more"),
    "optimal-pool-strict": GateFigure(
        "ran in the pool that the matrix gives for what they really took", "share", "less"
    ),
    "duration-within-25": GateFigure("took within 25 % of what was expected", "share", "less"),
    "availability-dynamic": GateFigure("at admission some fit machine held every base model", "share", "less"),
    "cold-starts": GateFigure("jobs for which a base model had to be fetched first", "n", "more"),
    "fetched": GateFigure("GB fetched", "n", "more"),
    "redundant": GateFigure("GB fetched that the fleet had fetched before", "n", "more"),
    "utilisation": GateFigure("busy seconds of paid seconds, fetches and loads included", "share", "other"),
    "dollars": GateFigure("US dollars paid for machines", "n", "more"),
}
#: Of each pool with enough jobs in every run that is behind the limits: `NAME/POOL`.
OF_A_POOL: Final[dict[str, GateFigure]] = {
    "wait-10s": GateFigure("waited less than 10 s, of the pool's jobs", "share", "less"),
    "wait-p95": GateFigure("wait that 95 % of the pool's jobs did not exceed", "s", "more"),
}


def figure_named(name: str) -> GateFigure:
    """What stands behind a name. Raises KeyError: nothing does."""
    figure, of, _ = name.partition("/")
    return OF_A_POOL[figure] if of else GATE_FIGURES[name]


def figures_of(run: RunSummary) -> dict[str, float]:
    """The figures of a run that it has. Times that never ended count as 1e9 s."""
    values = {
        **{name: value for name, value in run.figures.items() if name in GATE_FIGURES},
        "jobs": float(run.jobs),
        "cold-starts": float(run.cold_starts),
        "fetched": (run.fetched_bytes + run.apart_bytes) / _GB,
        "redundant": (run.redundant_bytes + run.apart_redundant_bytes) / _GB,
        "dollars": run.usd,
    }
    of_pools: dict[str, float] = {}
    for pool in run.pools:
        if pool.jobs >= FEWEST_JOBS:
            of_pools[f"wait-10s/{pool.pool}"] = pool.below_10_s
            of_pools[f"wait-p95/{pool.pool}"] = _wait_p95_s(pool)
    found = {name: values[name] for name in GATE_FIGURES if name in values} | of_pools
    return {name: round(value, 6) for name, value in found.items()}


def _wait_p95_s(pool: PoolWaits) -> float:
    at = pool.curve_s[CURVE_AT.index(0.95)]
    return NEVER_S if at is None else at
