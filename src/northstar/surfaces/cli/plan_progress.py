"""How a search for a fleet goes, for whoever waits at a terminal: a bar for the trial that runs; else a line for each that is over."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from northstar.surfaces.cli.printing import print_aside
from northstar.surfaces.cli.run_bar import run_bar

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

    from northstar.evaluation.planning.trials import Manned, Show, TrialLine
    from northstar.simulation.engine import Progress
    from northstar.simulation.scenario.progress import Tally


@contextmanager
def trials_shown() -> Iterator[Show]:
    """Gives what hears of trials."""
    from northstar.evaluation.planning.trials import Show

    if not sys.stderr.isatty():
        lines = _Lines()
        yield Show(lines.begins, lines.goes, lines.ends)
        return
    with run_bar(shows_end=False) as bar:
        shown = _Bar(bar)
        yield Show(shown.begins, shown.goes, shown.ends)


class _Lines:
    """Nobody watches."""

    def __init__(self) -> None:
        self._number = 0

    def begins(self, policy: str, seed: int, fleet: Sequence[Manned], jobs: int) -> None:  # noqa: ARG002 -- all that a bar is told
        self._number += 1

    def goes(self, progress: Progress, tally: Tally) -> None:
        """Nothing is said before it is over."""

    def ends(self, line: TrialLine) -> None:
        print_aside(f"{self._number}: {tried(line.policy, line.seed, line.fleet)}: {came_to(line)}")


class _Bar:
    """A bar for the trial that runs, and a line above it for each that is over."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._number = 0
        self._task = bar.add_task("", total=None, live="")

    def begins(self, policy: str, seed: int, fleet: Sequence[Manned], jobs: int) -> None:
        self._number += 1
        what = tried(policy, seed, tuple((one.machine.name, one.number) for one in fleet))
        self._bar.reset(self._task, total=jobs, description=f"{self._number}: {what}", live="")

    def goes(self, progress: Progress, tally: Tally) -> None:
        from northstar.surfaces.cli.simulate_progress import live_summary

        self._bar.update(self._task, completed=progress.ended, live=live_summary(progress.now_ms, tally))

    def ends(self, line: TrialLine) -> None:
        said = f"{self._number}: {tried(line.policy, line.seed, line.fleet)}: {came_to(line)}"
        self._bar.console.print(said, markup=False, highlight=False)


def tried(policy: str, seed: int, fleet: Sequence[tuple[str, int]]) -> str:
    """What a trial is of.

    >>> tried("north-star", 1, (("l4-40gb", 3), ("l4-200gb", 1)))
    'north-star 3 l4-40gb + 1 l4-200gb, seed 1'
    """
    return f"{policy} {' + '.join(f'{count} {name}' for name, count in fleet)}, seed {seed}"


def came_to(line: TrialLine) -> str:
    """What a trial came to."""
    if not line.judged:
        return f"jobs are wanted in {', '.join(sorted(line.pools))}"
    if line.result is None:
        short = ", ".join(dict.fromkeys(one.part for one in line.judged if one.met is False))
        return f"too few machines for {short}; broken off"
    return ", ".join(
        f"{one.pools or one.part} {'-' if one.share is None else f'{one.share:.1%}'} {one.goal}{'' if one.met else ' missed'}"
        for one in line.judged
    )
