"""What validations come to, for people: a table with each figure's way over time, and a sentence for each regression."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from northstar.surfaces.cli.printing import console, counted, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.evaluation.validation.record import ValidationRecord
    from northstar.evaluation.validation.regression import ValidatedChange
    from northstar.evaluation.validation.reliability import Errors, Look, Reliability

#: Blocks of a line in the table.
_LATEST: Final = 24


def show_changes(records: Sequence[ValidationRecord], changes: Sequence[ValidatedChange]) -> None:
    """Print the last record beside the ones before it."""
    from northstar.evaluation.validation.page import sparkline
    from northstar.evaluation.wording import goal_said, said

    last = records[-1]
    console().print(f"{last.kind} validation of {last.at}, North Star {last.northstar}: {last.about}", markup=False)
    print_table(
        ("FIGURE", "MEASURED", "BEFORE", "BY CHANCE", "GOAL", "OVER TIME", "CHANGE"),
        (
            (
                one.figure,
                said(one.measured, one.unit),
                "-" if one.before is None else said(one.before, one.unit),
                "-" if one.reach is None else f"± {said(one.reach, one.unit)}",
                "-" if one.goal is None else f"{goal_said(one.goal, one.unit)}{'' if one.meets_goal else ', not met'}",
                sparkline(
                    [known.figures[one.figure].mean for known in records if one.figure in known.figures][-_LATEST:]
                ),
                one.change,
            )
            for one in changes
        ),
    )
    worse = sum(one.is_regression for one in changes)
    console().print(
        f"{counted(len(changes), 'figure')}, {counted(worse, 'regression')}, beside {counted(len(records) - 1, 'earlier validation')}",
        markup=False,
    )


def regressions_said(regressions: Sequence[ValidatedChange]) -> list[str]:
    """A sentence for each."""
    from northstar.evaluation.wording import goal_said, said

    found = []
    for one in regressions:
        value, before = said(one.measured, one.unit), said(one.before or 0.0, one.unit)
        begin = f"{one.figure} ({one.what}): {value}, and {before} before"
        if one.change == "below goal" and one.goal is not None:
            found.append(f"{begin}: it misses its goal of {goal_said(one.goal, one.unit)}, which it met the last time")
        else:
            found.append(
                f"{begin}: {one.change} by more than ± {said(one.reach or 0.0, one.unit)}, which chance would explain beside {counted(one.earlier, 'earlier value')}"
            )
    return found


def show_reliability(look: Look, stands: Reliability, errors: Errors | None, *, days: float) -> None:
    """Print how it stands."""
    from northstar.evaluation.wording import goal_said, said

    rows = [
        ("now", "up" if look.up else f"not up: {look.why}", "-", f"asked at {look.at}, {look.took_ms:g} ms"),
        (
            "uptime",
            said(stands.uptime, "share"),
            goal_said(stands.goal, "share"),
            f"{counted(stands.looks, 'look')} in {days:g} days, {stands.down} not up",
        ),
    ]
    if errors is not None:
        rows.append(
            ("succeeded", said(1 - errors.rate, "share"), goal_said(errors.goal, "share"), counted(errors.jobs, "job"))
        )
    print_table(("WHAT", "IS", "GOAL", "FROM"), rows)
