"""Why a part of a fleet is as large as it is, and why goals are missed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from northstar.evaluation.planning.judge import Judged
from northstar.evaluation.planning.trials import TrialLine


def worst(lines: Iterable[TrialLine], part: str, goal: str, pools: str) -> Judged | None:
    """What a goal came to with the seed that reached the least; None: it was never judged to its end."""
    found = [
        one
        for line in lines
        if line.result is not None
        for one in line.judged
        if (one.part, one.goal, one.pools) == (part, goal, pools)
    ]
    return min(found, key=lambda one: one.margin, default=None)


def one_fewer(done: Sequence[TrialLine], line: TrialLine, at: int, part: str) -> str:
    """What the same fleet reached with one machine fewer in this part, where that was tried; empty: it was not."""
    fleet = list(line.fleet)
    name, count = fleet[at]
    if count == 1:
        return "one machine is the least"
    fleet[at] = (name, count - 1)
    known = next(
        (one for one in done if (one.policy, one.seed, one.fleet) == (line.policy, line.seed, tuple(fleet))), None
    )
    missed = None if known is None else missed_by(known, part)
    return "" if missed is None else f"with {count - 1}: {missed}"


def missed_by(line: TrialLine, part: str) -> str | None:
    """Which goal a part missed, and what its late jobs waited for; None: none."""
    for one in line.judged:
        if one.part == part and one.met is False:
            share = "" if line.result is None else f"{one.share or 0:.1%}, "
            return f"{share}{one.goal} is missed; {waited_for(one)}"
    return None


def waited_for(one: Judged) -> str:
    """What late jobs waited for."""
    if not one.late:
        return "jobs were late"
    cold = one.late_cold / one.late
    if cold >= 0.5:
        return f"{cold:.0%} of the late jobs waited for a model to be fetched"
    return f"{1 - cold:.0%} of the late jobs waited for a free machine"


def why_missed(line: TrialLine, part: str, *, count: int, most: int) -> str:
    """Why a part does not meet its goals with as many machines as may be."""
    missed = missed_by(line, part) or "its goals are missed in the company of the other parts, or with another seed"
    at_most = f" with {count} machines, as many as may be;" if count >= most else f" with {count} machines;"
    for one in line.judged:
        if one.part == part and one.met is False and one.late and one.late_cold * 2 >= one.late:
            return (
                f"{missed}:{at_most} larger disks, faster lines or a longer warm-up would help more than more machines"
            )
    return f"{missed}:{at_most} allow more with --max-machines" if count >= most else f"{missed}:{at_most[:-1]}"
