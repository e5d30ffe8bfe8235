"""Two scorecards side by side: what got better, what worse, and what lies within the spread of the seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

from northstar.evaluation.targets import Unit

if TYPE_CHECKING:
    from northstar.evaluation.scorecard import Scorecard, ScoredFigure

#: same: the spreads of the seeds touch, so that the difference may be chance.
Change: TypeAlias = Literal["better", "worse", "same", "new", "gone", "not measured"]


class ComparedFigure(msgspec.Struct, frozen=True, kw_only=True):
    """A figure of two scorecards; None: not measured there."""

    id: str
    row: str
    what: str
    unit: Unit
    before: float | None
    after: float | None
    change: Change
    #: Its verdict before and after.
    verdicts: tuple[str, str]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """All figures of both, in the order of the second."""

    before: str
    after: str
    figures: tuple[ComparedFigure, ...]

    @property
    def worse(self) -> tuple[ComparedFigure, ...]:
        """What got worse, or is not measured any more."""
        return tuple(figure for figure in self.figures if figure.change in {"worse", "gone"})


def compare(before: Scorecard, after: Scorecard) -> Comparison:
    """What changed from one scorecard to another. A figure that one of them does not know is not measured there."""
    old, new = before.figures, after.figures
    rows = {figure.id: row.id for card in (before, after) for row in card.rows for figure in row.figures}
    names = dict.fromkeys((*new, *old))
    return Comparison(
        before=before.about,
        after=after.about,
        figures=tuple(_compared(rows[name], old.get(name), new.get(name)) for name in names),
    )


def _compared(row: str, old: ScoredFigure | None, new: ScoredFigure | None) -> ComparedFigure:
    known = new or old
    if known is None:
        msg = "a figure of neither scorecard"
        raise AssertionError(msg)
    return ComparedFigure(
        id=known.id,
        row=row,
        what=known.what,
        unit=known.unit,
        before=None if old is None or old.measured is None else old.measured.median,
        after=None if new is None or new.measured is None else new.measured.median,
        change=_change(known, old, new),
        verdicts=(old.verdict if old else "not measured", new.verdict if new else "not measured"),
    )


def _change(known: ScoredFigure, old: ScoredFigure | None, new: ScoredFigure | None) -> Change:
    was = None if old is None else old.measured
    now = None if new is None else new.measured
    if now is None:
        return "not measured" if was is None else "gone"
    if was is None:
        return "new"
    if now.least <= was.most and was.least <= now.most:
        return "same"
    if known.goal.is_better(now.median, was.median):
        return "better"
    return "worse" if known.goal.is_better(was.median, now.median) else "same"
