"""How an evaluation goes, for whoever waits at a terminal: a bar for the run that goes on; where nobody sees it, a line for each run that is over."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from northstar.surfaces.cli.printing import print_aside
from northstar.surfaces.cli.run_bar import run_bar
from northstar.surfaces.cli.simulate_progress import live_summary

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from northstar.evaluation.agreed.running import Hearer
    from northstar.evaluation.run_figures import RunSummary
    from northstar.simulation.engine import Progress
    from northstar.simulation.scenario.progress import Tally
    from northstar.simulation.scenario.run_file import RunKey


@contextmanager
def shown(runs: int, *, known: int, keep: Callable[[RunSummary], None]) -> Iterator[Hearer]:
    """Gives what hears how runs go, of which `known` were made before; `keep` is told of each that is over."""
    if not sys.stderr.isatty():
        yield _Lines(runs, known, keep)
        return
    with run_bar() as bar:
        yield _Bars(runs, known, keep, bar)


class _Lines:
    """Nobody watches: a line for each run."""

    def __init__(self, runs: int, known: int, keep: Callable[[RunSummary], None]) -> None:
        self._runs = runs
        self._number = known
        self._keep = keep
        self._what = ""

    def prepares(self, key: RunKey, scenario: str) -> None:
        self._number += 1
        self._what = f"{self._number}/{self._runs} {scenario}: {key.policy}, seed {key.seed}"

    def begins(self, jobs: int, tally: Tally) -> None:
        """Nothing is said before it is over."""

    def goes(self, progress: Progress) -> None:
        """Nothing is said before it is over."""

    def ends(self, summary: RunSummary) -> None:
        self._keep(summary)
        print_aside(f"{self._what}: {told(summary)}")


class _Bars(_Lines):
    """A bar for the run that goes on, and a line above it for each that is over."""

    def __init__(self, runs: int, known: int, keep: Callable[[RunSummary], None], bar: Bar) -> None:
        super().__init__(runs, known, keep)
        self._bar = bar
        self._tally: Tally | None = None
        self._task = bar.add_task("", total=None, live="")

    def prepares(self, key: RunKey, scenario: str) -> None:
        super().prepares(key, scenario)
        self._bar.reset(self._task, total=None, description=self._what, live="looks at its jobs")

    def begins(self, jobs: int, tally: Tally) -> None:
        self._tally = tally
        self._bar.reset(self._task, total=jobs, description=self._what, live="")

    def goes(self, progress: Progress) -> None:
        live = "" if self._tally is None else live_summary(progress.now_ms, self._tally)
        self._bar.update(self._task, completed=progress.ended, live=live)

    def ends(self, summary: RunSummary) -> None:
        self._keep(summary)
        self._bar.console.print(f"{self._what}: {told(summary)}", markup=False, highlight=False)


def told(summary: RunSummary) -> str:
    """A run in a line."""
    soon = summary.figures.get("wait-10s")
    waits = "all of them cancelled" if soon is None else f"{soon:.1%} of them began within 10 s"
    return f"{summary.jobs:,} jobs, {waits}, {summary.cold_starts:,} cold, {summary.fetched_bytes / 1e9:,.0f} GB fetched for them"
