"""What is said beside a figure, from what its runs tell beside their figures."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.evaluation.run_figures import RunSummary


def remark_of(figure: str, runs: Sequence[RunSummary]) -> str:
    """The remark; empty where there is none. Numbers are medians over the runs."""
    told = {
        name: median(run.beside[name] for run in runs)
        for name in runs[0].beside
        if all(name in run.beside for run in runs)
    }
    match figure:
        case "response-p90" if "gpu-p90" in told:
            return f"the work alone, on the GPU: {told['gpu-p90']:.1f} s at this percentile"
        case "availability-dynamic" if "fetched-soon" in told:
            return f"of the others {told['fetched-soon']:.1%} began within 60 s"
        case "cross-pool-fallback" if "fallback-elsewhere" in told:
            return f"{told['fallback-jobs']:,.0f} such jobs, {told['fallback-elsewhere']:.1%} finished in another pool"
        case "redundant-cut-40" | "redundant-cut-80" if "belady-gb" in told:
            return (
                f"whole run, warm-up included: {told['redundant-gb']:,.0f} GB fetched again; with the jobs given out as they were, disks that know the "
                f"future {told['belady-gb']:,.0f} GB, at the very best {told['belady-least-gb']:,.0f} GB"
            )
        case "redundant-cut-12h":
            soon = median(run.figures.get("wait-10s", 0.0) for run in runs)
            return f"{soon:.1%} of the jobs waited less than 10 s"
        case "lost-jobs":
            return (
                "jobs that had not ended when the simulation did; what is committed twice only `benchmarks soak` sees"
            )
        case _:
            return ""
