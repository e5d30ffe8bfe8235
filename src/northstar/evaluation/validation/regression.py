"""Whether a validation found anything worse than the ones before it, by more than chance.

**The rule.** A figure is compared with the mean of its latest twelve earlier values that were measured on the same. What it may differ by is four times
√(B² + 2 S²/runs): B is the standard deviation of those earlier values, S that of its own runs, and both the earlier and the new value are means of runs. Of
a figure with one run S is not known, and of one that is measured on other jobs each time S is not all of it, so of these at least three earlier values are asked for. A goal that the last value met and this one misses is a regression too, however
small the step.
"""

from __future__ import annotations

import math
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import msgspec

from northstar.evaluation.targets import Goal, Unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from northstar.evaluation.validation.record import ValidatedFigure, ValidationRecord

#: first: nothing comparable was measured often enough before · same: within chance · changed: outside of it, where no side is the bad one · below
#: goal: it missed a goal that it met the last time.
Change: TypeAlias = Literal["first", "same", "better", "worse", "changed", "below goal"]
EARLIER: Final = 12
REACH: Final = 4.0
#: Earlier values of a figure of which only they say how far it may lie apart.
FEWEST_EARLIER: Final = 3


class ValidatedChange(msgspec.Struct, frozen=True, kw_only=True):
    """A figure of a validation beside the ones before it."""

    figure: str
    what: str
    unit: Unit
    change: Change
    measured: float
    #: How far its own runs lie apart.
    sd: float
    runs: int
    #: Of the earlier values; None: it is the first.
    before: float | None
    #: How far it may lie from that by chance.
    reach: float | None
    #: Earlier values.
    earlier: int
    goal: Goal | None
    meets_goal: bool | None

    @property
    def is_regression(self) -> bool:
        """Whether it got worse."""
        return self.change in {"worse", "changed", "below goal"}


def changes_of(record: ValidationRecord, earlier: Sequence[ValidationRecord]) -> list[ValidatedChange]:
    """Every figure of a record beside those of earlier ones, oldest first."""
    return [
        _change(name, figure, [one.figures[name] for one in earlier if name in one.figures])
        for name, figure in record.figures.items()
    ]


def _change(name: str, figure: ValidatedFigure, known: Sequence[ValidatedFigure]) -> ValidatedChange:
    known = [one for one in known if one.basis == figure.basis][-EARLIER:]
    before = fmean(one.mean for one in known) if known else None
    between = stdev([one.mean for one in known]) if len(known) > 1 else 0.0
    reach = REACH * math.sqrt(between**2 + 2 * figure.sd**2 / figure.runs)
    return ValidatedChange(
        figure=name,
        what=figure.what,
        unit=figure.unit,
        change=_kind(figure, known, before, reach),
        measured=figure.mean,
        sd=figure.sd,
        runs=figure.runs,
        before=before,
        reach=None if before is None else reach,
        earlier=len(known),
        goal=figure.goal,
        meets_goal=figure.meets_goal,
    )


def _kind(figure: ValidatedFigure, known: Sequence[ValidatedFigure], before: float | None, reach: float) -> Change:
    if before is None:
        return "first"
    if figure.meets_goal is False and known[-1].meets_goal:
        return "below goal"
    if (figure.runs == 1 or figure.varies) and len(known) < FEWEST_EARLIER:
        return "first"
    # As numbers are kept, they differ in the sixth decimal only by how they were rounded.
    if abs(figure.mean - before) <= reach + 2e-6:
        return "same"
    if figure.worse == "other":
        return "changed"
    return "worse" if (figure.mean > before) == (figure.worse == "more") else "better"
