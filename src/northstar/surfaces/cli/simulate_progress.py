"""How a simulation goes, for whoever waits at a terminal: a bar and a live summary; where nobody sees it, a line for each run that is over."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from northstar.surfaces.cli.printing import print_aside
from northstar.surfaces.cli.run_bar import run_bar

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from northstar.simulation.engine import Progress
    from northstar.simulation.scenario.progress import Tally
    from northstar.simulation.scenario.results import RunResult
    from northstar.simulation.scenario.run_file import RunKey

_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS


class Show(Protocol):
    """Hears how it goes."""

    def prepares(self, number: int, key: RunKey) -> None:
        """Run `number` is next: its jobs are looked at."""

    def begins(self, jobs: int, tally: Tally) -> None:
        """It begins, with so many jobs."""

    def goes(self, progress: Progress) -> None:
        """It is so far."""

    def ends(self, result: RunResult) -> None:
        """It is over."""


@contextmanager
def shown_while_running(runs: int) -> Iterator[Show]:
    """Gives what hears how the runs go."""
    if not sys.stderr.isatty():
        yield _Lines(runs)
        return
    with run_bar() as bar:
        yield _Bar(bar, runs)


class _Lines:
    """Nobody watches: a line for each run."""

    def __init__(self, runs: int) -> None:
        self._runs = runs
        self._what = ""

    def prepares(self, number: int, key: RunKey) -> None:
        self._what = described(number, self._runs, key)

    def begins(self, jobs: int, tally: Tally) -> None:
        """Nothing is said before it is over."""

    def goes(self, progress: Progress) -> None:
        """Nothing is said before it is over."""

    def ends(self, result: RunResult) -> None:
        print_aside(f"{self._what}: {summed_up(result)}")


class _Bar:
    """A bar for the run that goes on, and a line above it for each that is over."""

    def __init__(self, bar: Bar, runs: int) -> None:
        self._bar = bar
        self._runs = runs
        self._what = ""
        self._tally: Tally | None = None
        self._task = bar.add_task("", total=None, live="")

    def prepares(self, number: int, key: RunKey) -> None:
        self._what = described(number, self._runs, key)
        self._bar.reset(self._task, total=None, description=self._what, live="looks at its jobs")

    def begins(self, jobs: int, tally: Tally) -> None:
        self._tally = tally
        self._bar.reset(self._task, total=jobs, description=self._what, live="")

    def goes(self, progress: Progress) -> None:
        live = "" if self._tally is None else live_summary(progress.now_ms, self._tally)
        self._bar.update(self._task, completed=progress.ended, live=live)

    def ends(self, result: RunResult) -> None:
        self._bar.console.print(f"{self._what}: {summed_up(result)}", markup=False, highlight=False)


def described(number: int, runs: int, key: RunKey) -> str:
    """Which run it is.

    >>> from northstar.simulation.scenario.run_file import RunKey
    >>> described(2, 6, RunKey(7, "north-star"))
    '2/6 north-star, seed 7'
    """
    return f"{number}/{runs} {key.policy}, seed {key.seed}"


def live_summary(now_ms: int, tally: Tally) -> str:
    """Virtual time, and what the counted jobs have seen so far."""
    soon = "" if tally.soon is None else f", {tally.soon:.1%} began within 10 s"
    return f"{virtual_time(now_ms)}{soon}, {tally.cold:,} cold, {tally.fetched_bytes / 1e9:,.0f} GB"


def virtual_time(at_ms: int) -> str:
    """A moment of the simulation.

    >>> virtual_time(90_061_000)
    'day 1 01:01'
    """
    days, rest = divmod(at_ms, _DAY_MS)
    hours, rest = divmod(rest, _HOUR_MS)
    return f"day {days} {hours:02}:{rest // 60_000:02}"


def summed_up(result: RunResult) -> str:
    """A run in a line."""
    whole = result.pools[-1]
    soon = "all of them cancelled" if whole.soon is None else f"{whole.soon:.1%} of them began within 10 s"
    never = f", {whole.never:,} never began" if whole.never else ""
    return f"{whole.jobs:,} jobs, {soon}{never}, {whole.cold:,} cold, {result.fetched_gb:,.0f} GB fetched"
