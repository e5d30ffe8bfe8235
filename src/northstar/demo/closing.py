"""What the demonstration says at its end: a table of all jobs, the reason for each, what the machines cost, and how to go on."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from northstar.demo.commission import LOST
from northstar.demo.outcome import Outcome
from northstar.demo.pool_legend import legend
from northstar.demo.reason import Reason
from northstar.demo.simulated_work import TIME_LAPSE
from northstar.domain.pools import Pools
from northstar.store.history import Costs

#: As `northstar jobs list` counts and calls them.
COUNTED: Final = ("ATTEMPTS FAILED", "MACHINES LOST")
#: What to try after it: the same for yourself, the pools, and a job's way through them.
GO_ON: Final = (
    ("northstar up", "the same for yourself, until Ctrl-C"),
    ("northstar pools list", "the pools, what they take, and what their machines must have"),
    ("northstar submit FILE --wait", "a job of your own; then: northstar explain JOB"),
)
_WIDTH: Final = 110
_INDENT: Final = "    "


def print_closing(console: Console, outcomes: Sequence[Outcome], costs: Costs, pools: Pools) -> None:
    """Print all but the last line."""
    console.print(_table(outcomes))
    console.print()
    for sentence in legend(pools):
        console.print("\n".join(_wrapped(sentence)), markup=False, soft_wrap=True)
    console.print("\nWhy each job ran where it ran, as `northstar explain JOB` tells while a cell runs:", markup=False)
    for line in reason_lines(outcomes):
        console.print(line, markup=False, soft_wrap=True)
    console.print()
    for sentence in (*_survivor(outcomes), *reserved(outcomes), cost_line(costs)):
        console.print("\n".join(_wrapped(sentence)), markup=False, soft_wrap=True)


def print_end(console: Console, outcomes: Sequence[Outcome], *, seconds: float, index: Path, activation: str) -> int:
    """Print what was verified and how to go on; gives the exit code. `activation` comes before the commands, where a shell needs it."""
    real = [outcome for outcome in outcomes if not outcome.is_simulated]
    simulated = [outcome for outcome in outcomes if outcome.is_simulated]
    console.print("\nGo on with:", markup=False)
    if activation:
        console.print(
            f"{_INDENT}{activation:<30} first, so that this shell finds `northstar`", markup=False, soft_wrap=True
        )
    for command, what in GO_ON:
        console.print(f"{_INDENT}{command:<30} {what}", markup=False, soft_wrap=True)
    verified, ended = (sum(one.is_good for one in group) for group in (real, simulated))
    console.print(
        f"{verified} of {len(real)} results verified, {ended} of {len(simulated)} simulated runs as they should be, "
        f"in {seconds:.1f} s. Open: {index}",
        markup=False,
        soft_wrap=True,
    )
    return 0 if all(outcome.is_good for outcome in outcomes) else 1


def reason_lines(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """For jobs of which the same was decided for the same reasons: their pool, why, the estimate, and what was passed over, if anything was."""
    for reason, group in alike(outcomes):
        jobs, mark = ", ".join(outcome.job for outcome in group), " (simulated)" if group[0].is_simulated else ""
        yield from _wrapped(f"{jobs}{mark} -> {reason.pool}: {reason.because}")
        yield from _wrapped(f"{_INDENT}estimate    {reason.estimate}")
        if reason.passed_over:
            yield from _wrapped(f"{_INDENT}passed over {reason.passed_over}")


def alike(outcomes: Sequence[Outcome]) -> list[tuple[Reason, list[Outcome]]]:
    """Jobs of which the same was decided, together; simulated ones apart."""
    groups: dict[tuple[Reason, bool], list[Outcome]] = {}
    for outcome in outcomes:
        groups.setdefault((outcome.reason, outcome.is_simulated), []).append(outcome)
    return [(reason, group) for (reason, _), group in groups.items()]


def reserved(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """How long a machine that is kept for enterprise work stood idle while other work waited for a machine like it."""
    kept = [outcome for outcome in outcomes if outcome.reason.pool == "enterprise" and outcome.machines]
    others = [outcome for outcome in outcomes if outcome.is_simulated and outcome not in kept]
    if not kept or not others:
        return
    waiting = max(others, key=lambda outcome: outcome.waited_ms)
    idle_from_ms = max(outcome.finished_ms for outcome in kept)
    idle_ms = waiting.submitted_ms + waiting.waited_ms - max(waiting.submitted_ms, idle_from_ms)
    if idle_ms > 0:
        yield (
            f"{kept[0].machines[-1]} (simulated) stood idle for {idle_ms / 1000:.1f} s of the {waiting.waited_ms / 1000:.1f} s for "
            f"which {waiting.job!r} waited: it is kept for enterprise work."
        )


def cost_line(costs: Costs) -> str:
    """What the simulated machines cost by pool, the time lapse counted back, and how much of it was idle time; real ones have no price."""
    spent = [f"{name} ${bill.usd * TIME_LAPSE:.2g}" for name, bill in costs.by if bill.usd]
    all_usd = costs.busy.usd + costs.idle.usd
    idle = costs.idle.usd / all_usd if all_usd else 0.0
    return (
        f"Costs by pool, from the history (simulated prices, time lapse 1:{TIME_LAPSE} counted back): {', '.join(spent)}. "
        f"Of what these machines cost, {idle:.0%} was idle time; `northstar costs` tells both."
    )


def _table(outcomes: Sequence[Outcome]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("JOB", "SERVICE", "POOL", "MACHINE", "WAITED", "RAN", *COUNTED, "RESULT"):
        table.add_column(column, justify="right" if column in {"WAITED", "RAN", *COUNTED} else "left")
    for outcome in outcomes:
        shown = outcome.verdict if outcome.is_simulated else f"{outcome.file}  {outcome.verdict}".strip()
        good = "yellow" if outcome.is_simulated else "green"
        table.add_row(
            outcome.job,
            outcome.service,
            outcome.reason.pool,
            " > ".join(outcome.machines),
            f"{outcome.waited_ms / 1000:.2f} s",
            f"{outcome.ran_ms / 1000:.2f} s",
            str(outcome.attempts),
            str(outcome.recoveries),
            Text(shown, style=good if outcome.is_good else "red"),
        )
    return table


def _survivor(outcomes: Sequence[Outcome]) -> Iterator[str]:
    lost = next(outcome for outcome in outcomes if outcome.job == LOST)
    if lost.is_good and lost.recoveries:
        yield (
            f"{lost.job!r} survived: {lost.machines[0]} was killed, {lost.machines[-1]} finished it, "
            "and it cost its owner no attempt."
        )


def _wrapped(line: str) -> list[str]:
    indent = len(line) - len(line.lstrip())
    return textwrap.wrap(
        line.strip(),
        width=_WIDTH,
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent or 4),
        break_on_hyphens=False,
    )
